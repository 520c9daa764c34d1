"""Which INT8 file a command means: the calibrated one that is kept, or another if that is asked.

A kept file is used as it is, whatever photos a command judges by, and also where the toolkit's
code or a tool has changed since: it is the file that was judged, and may have been shipped. Another
is made where none of these weights is kept, where the user names an opset, photos to calibrate on,
a method or layers that differ from the kept one's, and for RECALIBRATE=1. A target that has none
yet takes the photos of the one that was calibrated last, where no others are named.
"""

import dataclasses
import datetime
import threading
from collections.abc import Sequence

from calib import kept as calibrations
from calib.kept import Facts, PhotoSet
from calib.photos import Calibration
from calib.quant_config import QuantConfig
from common import files
from common.console import say, shown
from common.sources import code_of
from common.version import VERSION
from convert.artifact import Artifact
from data.images import DEMO
from deploy.request.values import INT8, Cell, calibrated
from deploy.targets.base import Options, Target
from models.weights import WORDS

_making = threading.Lock()  # making one target's file may take the place of another's


def with_kept(graph: Artifact, cells: Sequence[Cell], options: Options) -> Options:
    """The options with what is kept for the cells in INT8: as it is, or as what to start from; and
    with the photos for those that have nothing yet, where another target's tell them."""
    used, remade, without = {}, {}, []
    for target in (target for target, _ in calibrated(cells)):
        found = calibrations.find(graph, target.name)
        if found is None:
            without.append(target.name)
            if record := calibrations.earlier_record(graph, target.name):
                say(
                    f"  {shown(record)} is left out: it is of a toolkit before 0.2.0, which kept "
                    "neither the file nor its photos; calibrate again: make calibrate "
                    f"MODEL={graph.name} TARGET={target.name}"
                )
        elif not found.facts.is_of(graph):
            without.append(target.name)
            same = found.facts.weights_sha256 == graph.facts["weights_sha256"]
            other = "photos prepared in another way" if same else "other weights"
            say(
                f"  {target.name} int8: what was calibrated is of {other}, and does not apply: "
                f"{found.facts}"
            )
        elif not found.is_whole:
            say(f"  {target.name} int8: the calibrated file is damaged or gone: {found.facts}")
            remade[target.name] = found
        elif options.recalibrate or _differs(found.facts, options):
            remade[target.name] = found
        else:
            used[target.name] = found
    if without and options.calibration is None:
        options = dataclasses.replace(options, calibration=_others_photos(graph, without, options))
    return dataclasses.replace(options, kept=used, remade=remade)


def _others_photos(graph: Artifact, without: Sequence[str], options: Options) -> Calibration | None:
    """The photos that another target of these weights was calibrated on, for those that were not:
    the same are the natural choice. None where they are gone, or are the demo's, which calibrate a
    checkpoint of one's own only where they are named."""
    for name, facts in calibrations.calibrated(graph):
        if facts.photos.source == DEMO and graph.facts["weights"] not in WORDS:
            continue
        if found := facts.photos.reopened(facts.skip_bad, options.at_most):
            say(
                f"  {', '.join(without)} int8: not calibrated yet, so on the photos that {name} "
                f"was: {len(found.images)} of {found.images.name}"
            )
            return found
    return None


def _differs(facts: Facts, options: Options) -> bool:
    """Whether the user names something that is not as it was when a file was made."""
    quant, calibration = options.quant or QuantConfig(), options.calibration
    same = {
        "opset": facts.opset == options.opset,
        "method": facts.method == quant.method,
        "keep_float": set(facts.keep_float) == set(quant.keep_float),
        "photos": calibration is None or facts.photos.sha256 == calibration.images.sha256,
        "count": options.at_most is None or len(facts.photos) <= options.at_most,
    }
    return not all(same[name] for name in options.named)


def options_for(cell: Cell, options: Options) -> Options:
    """The options by which a cell's file is made, or was made where it is kept."""
    target, precision = cell
    if precision != INT8:
        return options
    if used := options.kept.get(target.name):
        return dataclasses.replace(options, quant=used.facts.quant, opset=used.facts.opset)
    earlier = options.remade.get(target.name)
    if earlier is None:
        return options
    facts, named, calibration = earlier.facts, options.named, options.calibration
    quant = options.quant or QuantConfig()
    if "photos" not in named:
        calibration = facts.photos.reopened(facts.skip_bad, options.at_most) or calibration
    return dataclasses.replace(
        options,
        quant=QuantConfig(
            quant.method if "method" in named else facts.method,
            quant.keep_float if "keep_float" in named else facts.keep_float,
        ),
        opset=options.opset if "opset" in named else facts.opset,
        calibration=calibration,
    )


def without_photos(cells: Sequence[Cell], options: Options) -> list[Cell]:
    """The cells in INT8 whose file is to be made on photos that nothing tells yet."""
    return [
        (target, precision)
        for target, precision in calibrated(cells)
        if target.name not in options.kept
        and options_for((target, precision), options).calibration is None
    ]


def calibrating_hashes(cells: Sequence[Cell], options: Options) -> set[str]:
    """The sha256 of the photos that calibrated the cells' kept files, or will calibrate others:
    they do not judge."""
    names = {target.name for target, _ in calibrated(cells)}
    found = dict(options.kept)
    if "photos" not in options.named:
        found |= options.remade
    hashes = {
        photo.sha256
        for name, one in found.items()
        if name in names
        for photo in one.facts.photos.photos
    }
    if options.calibration and names - options.kept.keys():
        hashes.update(options.calibration.images.hashes)
    return hashes


def hashes_of_any(graph: Artifact, cells: Sequence[Cell]) -> set[str]:
    """The sha256 of the photos that calibrated any kept file of a graph, where what runs elsewhere
    in INT8 may be such a file."""
    if not any(target.elsewhere and precision == INT8 for target, precision in cells):
        return set()
    kept = [facts for _, facts in calibrations.calibrated(graph)]
    return {photo.sha256 for facts in kept for photo in facts.photos.photos}


def int8_file(graph: Artifact, target: Target, options: Options) -> Artifact:
    """A target's file in INT8: the one that is kept, or a new one, which is kept then."""
    used = options.kept.get(target.name)
    if used is None:
        chosen = options_for((target, INT8), options)
        with _making:
            built = target.build(graph, INT8, chosen)
            keep(graph, target, built, chosen)
        return built
    if changed := _changes(used.facts, target):
        say(
            f"  {target.name} int8: {changed} since the file was calibrated; it is still the one "
            "that was judged, and stays (RECALIBRATE=1 makes it anew)"
        )
    with _making:
        artifact = used.put_back()
        if target.fits(artifact):
            return artifact
        built = target.refit(artifact)
        facts = dataclasses.replace(used.facts, files=target.digests(built))
        calibrations.keep(graph, target.name, built, facts)
        return built


def keep(graph: Artifact, target: Target, built: Artifact, options: Options) -> None:
    """Keep a file as the one that commands use from now on; `options` are those it was made by."""
    quant, calibration = options.quant or QuantConfig(), options.calibration
    assert calibration, "INT8 is made on photos"
    facts = Facts(
        schema=calibrations.SCHEMA,
        toolkit=VERSION,
        made=datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        weights_sha256=graph.facts["weights_sha256"],
        class_num=graph.facts["class_num"],
        input_shape=tuple(graph.facts["input_shape"]),
        preprocess=graph.preprocess.to_json(),
        opset=options.opset,
        method=quant.method,
        keep_float=quant.keep_float,
        weight_bits=target.grid().weight_bits,
        photos=PhotoSet.of(calibration),
        skip_bad=calibration.skip_bad,
        tools=_tools(target),
        code=_code(target),
        deployed=built.manifest["kind"],
        files=target.digests(built),
    )
    calibrations.keep(graph, target.name, built, facts)


def _changes(facts: Facts, target: Target) -> str:
    """What has changed of that which made a file, in a clause; "" where nothing has."""
    tools = [
        f"{name} {facts.tools.get(name, 'absent')} became {version}"
        for name, version in _tools(target).items()
        if facts.tools.get(name) != version
    ]
    if tools:
        return ", ".join(tools)
    return "the toolkit's code has changed" if facts.code != _code(target) else ""


def _tools(target: Target) -> dict[str, str]:
    return {tool.package: tool.version or "absent" for tool in target.tools}


def _code(target: Target) -> str:
    return files.sha256_of(code_of(type(target)))
