"""What commands ask of the nodes of a cluster: calls, and INT8 files made and judged there."""

import argparse
import dataclasses
import os
from collections.abc import Generator, Sequence
from pathlib import Path

from calib.chosen_ranges import ASYMMETRIC, LOWERED, SYMMETRIC
from calib.kept import INT8, PhotoSet, kept_folder
from calib.quant_config import QuantConfig
from calib.ranges import KIND as RANGES
from common.cli import Parser
from common.errors import StepError, UserError
from common.paths import build_root
from common.strict_json import FormError, decode, parse
from convert.artifact import Artifact, load
from convert.builds import KIND as GRAPH
from convert.to_onnx import KIND as ONNX
from deploy.scale.fleet import Ended, Fleet, Job
from deploy.scale.inputs import add, command_words, names_in
from deploy.scale.node import Build, Inputs
from deploy.scale.spread import no_room, spread
from deploy.targets.base import Options, Target
from deploy.verdict.judging_photos import JudgingPhotos
from deploy.verdict.result import Result
from deploy.verdict.tables import verdict
from runtimes.calls import Calls, Results

# Which photos judge and calibrate, and by what budget.
_WORDS = {
    *("data", "photos", "skip_bad", "labels", "more", "allow_seen", "budget", "calib"),
    *("calib_photos", "opset"),
}


@dataclasses.dataclass(frozen=True)
class _Attempt(Job):
    quant: QuantConfig = dataclasses.field(kw_only=True)


@dataclasses.dataclass(frozen=True)
class Elsewhere:
    """The nodes of `fleet`, and what a command asks of them.

    `words` give its photos and its budget to a node, where `inputs` are what they name; `named`
    says that they tell which photos calibrate: else those of the file that is kept do.
    """

    fleet: Fleet
    words: Sequence[str]
    inputs: Inputs
    named: bool

    def spread(self, calls: Calls) -> Results:
        """What calls give there (see `deploy.scale.spread`)."""
        return spread(self.fleet, calls)

    def judged(
        self,
        graph: Artifact,
        target: Target,
        photos: JudgingPhotos,
        options: Options,
        quants: Sequence[QuantConfig],
    ) -> Generator[tuple[QuantConfig, Result], None, None]:
        """The results of a target's files by these configurations, as they come; each begins with
        the artifacts that are here. One that was judged by other photos than `photos`, or
        calibrated on others than those of `options`, is left out, with a sentence.

        UserError where no node has room, StepError where a node could not do it.
        """
        inputs, again = dict(self.inputs), []
        build = self._build(graph, photos, inputs)
        record = kept_folder(graph.name, target.name)
        if not self.named and record.is_dir():
            _bring(record, build, inputs)
            _bring_photos(options, inputs)
            again = ["--recalibrate"]
        jobs = [
            _Attempt(
                name=f"{graph.name} {target.name} {_said(quant)}",
                words=[
                    *("deploy/validate.py", "--model", graph.name, "--target", target.name),
                    *("--precision", INT8, "--method", quant.method),
                    *(word for layer in quant.keep_float for word in ("--keep-float", layer)),
                    *(*self.words, *again, "--json"),
                ],
                build=build,
                quant=quant,
            )
            for quant in quants
        ]
        self.fleet.bring(inputs)
        for ended in self.fleet.run(jobs):
            outcome = self._result(ended)
            assert isinstance(ended.job, _Attempt)
            if _same_photos(outcome, photos, options):
                ended.say(f"{verdict(outcome)}, {ended.where}")
                yield ended.job.quant, outcome
            else:
                ended.say(f"{ended.where}, by other photos than here: it does not count")

    def _result(self, ended: Ended) -> Result:
        if "absent" in ended.told:
            raise UserError(no_room(ended, self.fleet))
        try:
            [line] = ended.told.get("out", "").splitlines()
            return decode(Result, parse(line))
        except (ValueError, FormError) as error:
            raise StepError(f"{ended.job.name}: {ended.problem or error}") from None

    def _build(self, graph: Artifact, photos: JudgingPhotos, inputs: Inputs) -> Build:
        """What is here of that which all attempts start from, as far as it is made."""
        build: Build = {}
        for kind in (GRAPH, ONNX, RANGES, SYMMETRIC, LOWERED, ASYMMETRIC):
            if load(folder := kind.folder(graph.name)):
                _bring(folder, build, inputs)
        reference = photos.kept_reference()
        _bring(reference.parent, build, inputs, [reference.name])
        return build


def _bring(folder: Path, build: Build, inputs: Inputs, names: Sequence[str] | None = None) -> None:
    """Have some of the files in a folder of the build folder, or all, in the node's."""
    names = names_in(folder) if names is None else list(names)
    build[folder.relative_to(build_root()).as_posix()] = add(folder, names, inputs), names


def _bring_photos(options: Options, inputs: Inputs) -> None:
    """Have the photos that calibrated, as the record of a kept file names them."""
    assert options.calibration
    paths = [path.absolute() for path in options.calibration.images.paths]
    if all(any(path.is_relative_to(of) for of, _ in inputs.values()) for path in paths):
        return
    folder = Path(os.path.commonpath([path.parent for path in paths]))
    add(folder, [path.relative_to(folder).as_posix() for path in paths], inputs)


def open_elsewhere(
    fleet: Fleet, parser: Parser, options: argparse.Namespace, *, named: bool
) -> Elsewhere:
    """What a command with these options asks of a cluster."""
    inputs: Inputs = {}
    words = command_words(parser, options, sorted(vars(options).keys() - _WORDS), inputs)
    return Elsewhere(fleet, words, inputs, named)


def _said(quant: QuantConfig) -> str:
    in_float = f", {len(quant.keep_float)} in float" if quant.keep_float else ""
    return f"{quant.method}{in_float}"


def _same_photos(outcome: Result, photos: JudgingPhotos, options: Options) -> bool:
    """Whether a node calibrated and judged by the photos that this machine would."""
    assert options.calibration
    made = outcome.calibration and outcome.calibration.photos
    return bool(
        made
        and made.sha256 == PhotoSet.of(options.calibration).sha256
        and outcome.data.sha256 == photos.crops.sha256
    )
