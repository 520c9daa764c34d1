"""What a user asks of the commands that build and judge: the arguments, as values."""

import argparse
import os
from collections.abc import Mapping

from calib.photos import COUNT
from calib.quant_config import DEFAULT_METHOD, METHODS, QuantConfig
from common.cli import Parser, choice, number, positive, whole, word_or_path
from common.console import say
from common.errors import UserError
from convert.builds import NO_NAME, Chosen, add_beside_arguments, add_name_argument
from convert.to_onnx import DEFAULT_OPSET, OPSETS
from data.images import BUILT_IN, DEMO
from data.photo_folders import AS_FOUND, UNLABELLED
from deploy.request.building import choose_builds
from deploy.request.own_photos import with_photos
from deploy.request.values import Cell, Files, Photos, check_methods
from deploy.targets import TARGETS, all_precisions, find_cells
from deploy.targets.base import Options, Target
from models.weights import WORDS
from runtimes.hosts import arm
from runtimes.hosts.base import Host
from runtimes.hosts.local import LOCAL
from runtimes.hosts.phone import Phone, connected_phone
from runtimes.hosts.ssh import Ssh
from runtimes.paddle_lite_arm import library

NO_LABELS = "none"


def add_build_arguments(parser: Parser, without: str = "") -> None:
    """The arguments that name models and builds; `without` says what it means to name none, where
    that means something."""
    parser.add_argument(
        "--model",
        action="append",
        metavar="NAME",
        help="a model's name, or a build's; repeatable" + f" (default: {without})" * bool(without),
    )
    add_name_argument(parser)
    parser.set_defaults(every_build=bool(without))


def add_one_build_argument(parser: Parser) -> None:
    """The same, of a command for one."""
    parser.add_argument("--model", metavar="NAME", help="a model's name, or a build's")
    add_name_argument(parser)


def chosen_builds(options: argparse.Namespace) -> list[Chosen]:
    """The builds that the arguments of `add_build_arguments` ask for (see `choose_builds`)."""
    if not (options.model or options.name or options.every_build):
        raise UserError(f"{NO_NAME} (see --help)")
    chosen = choose_builds(options.model, options.name, options.weights)
    if options.model or options.name or "data" not in options:
        return chosen
    return with_photos(chosen, options.data)


def add_file_arguments(
    parser: Parser,
    target_default: list[str] | None = None,
    precision_default: str = "every precision of the target",
    offered: Mapping[str, Target] = TARGETS,
) -> None:
    """The arguments of every command that makes files; the defaults are what naming none means.

    `offered`: the targets that the command takes, for its help.
    """
    parser.add_argument(
        "--target",
        action="append",
        required=target_default is None,
        metavar="NAME",
        help=f"{', '.join(offered)} or all; repeatable",
    )
    parser.add_argument(
        "--precision",
        action="append",
        metavar="P",
        help=f"{', '.join(all_precisions(offered.values()))}; repeatable (default: "
        f"{precision_default})",
    )
    add_weight_arguments(parser)
    parser.add_argument(
        "--opset",
        type=whole(OPSETS[0], OPSETS[-1]),
        metavar="N",
        help=f"ONNX opset, {OPSETS[0]} to {OPSETS[-1]} (default: {DEFAULT_OPSET}; 13 for old "
        "runtimes)",
    )
    add_calibration_arguments(parser)
    parser.set_defaults(target_default=target_default)
    parser.epilog = "targets:\n" + "\n".join(
        f"  {name:<10} {target.summary}" for name, target in offered.items()
    )


def add_calibration_arguments(parser: Parser) -> None:
    """The arguments of every command that may make INT8 files."""
    parser.add_argument(
        "--calib",
        type=word_or_path(*BUILT_IN),
        metavar="DIR",
        help="photos to calibrate INT8 on, which need no labels and may not judge (default: those "
        "of the calibrated file that is kept, else a third of --data)",
    )
    parser.add_argument(
        "--calib-photos",
        type=positive,
        metavar="N",
        help=f"at most so many of them (default: {COUNT})",
    )
    parser.add_argument(
        "--method",
        metavar="M",
        help=f"{', '.join(METHODS)}{_more_methods()} (default: that of the calibrated file that "
        f"is kept, else {DEFAULT_METHOD})",
    )
    parser.add_argument(
        "--keep-float",
        action="append",
        metavar="LAYER",
        help="a layer of the ONNX file that INT8 leaves in float; repeatable",
    )
    parser.add_argument(
        "--recalibrate",
        action="store_true",
        help="make INT8 files anew where calibrated ones are kept; what is not named (photos, "
        "method, layers, opset) is as it was",
    )


def _more_methods() -> str:
    """The methods that only some targets have, in a clause; "" where there are none."""
    owners: dict[str, list[str]] = {}
    for name, target in TARGETS.items():
        for method in target.methods:
            if method not in METHODS:
                owners.setdefault(method, []).append(name)
    return "".join(f", or {method} for {' and '.join(of)}" for method, of in owners.items())


def add_weight_arguments(parser: Parser) -> None:
    """The arguments of every command that needs a model's weights."""
    parser.add_argument(
        "--weights",
        type=word_or_path(*WORDS),
        metavar="W",
        help="a file, a folder, official, demo or random (default: those of the build, else what "
        "is found)",
    )
    parser.add_argument(
        "--classes",
        type=positive,
        metavar="N",
        help="default: as many as the weights tell apart, else 1000",
    )
    add_beside_arguments(parser)


def add_data_arguments(parser: Parser) -> None:
    """The arguments of every command that takes photos."""
    parser.add_argument(
        "--data",
        type=word_or_path(*BUILT_IN),
        metavar="DIR",
        help="a folder with val_list.txt, val/ or one folder per class, a list, cifar10 or demo "
        "(default: where the photos lay that the checkpoint was made of, else demo)",
    )
    parser.add_argument(
        "--photos", type=positive, metavar="N", help="only N of them, evenly spread"
    )
    parser.add_argument(
        "--skip-bad", action="store_true", help="leave unreadable photos out, and count them"
    )


def add_seen_argument(parser: Parser) -> None:
    """The argument of every command that gives an accuracy."""
    parser.add_argument(
        "--allow-seen",
        action="store_true",
        help="judge by photos that trained the checkpoint too, marked as such",
    )


def add_photo_arguments(parser: Parser) -> None:
    """The arguments of every command that judges targets on photos."""
    add_data_arguments(parser)
    parser.add_argument(
        "--labels",
        type=choice(NO_LABELS),
        metavar=NO_LABELS,
        help="take all photos in --data, however deep, without labels; those of a folder of "
        "photos, a list without labels or a video are taken so anyway",
    )
    parser.add_argument(
        "--more",
        type=word_or_path(*BUILT_IN),
        metavar="DIR",
        help="photos that judge without labels beside those in --data",
    )
    add_seen_argument(parser)
    parser.add_argument(
        "--budget",
        type=number,
        metavar="PP",
        help="top-1 loss allowed, in percentage points (default: 1 %% of the reference's top-1)",
    )
    parser.add_argument(
        "--accept-simulated",
        action="store_true",
        help="exit 0 where only the hardware is missing and its simulation passes",
    )
    parser.add_argument(
        "--accept-estimated",
        action="store_true",
        help="where photos decide nothing without labels, let the estimate by the reference's own "
        "probabilities decide the exit status",
    )


def add_verbose_argument(parser: Parser) -> None:
    """The argument of the commands that show many results."""
    parser.add_argument(
        "--verbose",
        action="store_true",
        help="give each result's reason by itself, not once for all that share it",
    )


def add_host_arguments(parser: Parser) -> None:
    """The arguments of every command that can judge targets on another host."""
    parser.add_argument(
        "--host",
        type=_host,
        default=LOCAL.name,
        metavar="HOST",
        help=f"where targets run: {LOCAL.name} (default); {arm.Arm.name}: ARM code, executed by "
        f"QEMU (see make setup-arm); {Phone.name}: the one that adb sees, for lite-arm; or "
        f"{Ssh.name}:NAME, a board that ssh reaches by that name",
    )
    parser.add_argument(
        "--arm-cpu",
        type=choice(*arm.CPUS),
        metavar="CPU",
        help=f"of --host {arm.Arm.name}: "
        + ", ".join(f"{name} ({cpu.what})" for name, cpu in arm.CPUS.items())
        + f" (default: {arm.DEFAULT_CPU})",
    )
    parser.add_argument(
        "--paddle-lite-arm",
        type=word_or_path(library.OFFICIAL),
        metavar="L",
        help="Paddle Lite's library for lite-arm on another host, for ARM Linux or, on a phone, "
        f"for Android: its archive, the folder that it unpacks to, or {library.OFFICIAL}, which "
        f"fetches the release (default: ${library.VARIABLE})",
    )


def _host(text: str) -> str:
    """An argument that names a host."""
    kind, _, alias = text.partition(":")
    if kind != Ssh.name:
        return choice(LOCAL.name, arm.Arm.name, Phone.name, f"{Ssh.name}:NAME")(text)
    if not alias or alias.startswith("-") or not alias.isprintable() or " " in alias:
        raise argparse.ArgumentTypeError(
            f"'{text}' names no board: write {Ssh.name}:NAME, NAME as ssh knows it"
        )
    return text


def chosen_host(options: argparse.Namespace) -> Host:
    """The host that the arguments ask for; UserError where it is not set up."""
    host = named_host(options)
    if host is not LOCAL and (problem := host.program_problem()):
        raise UserError(problem)
    return host


def named_host(options: argparse.Namespace) -> Host:
    """The host that the arguments ask for, whether it is set up or not."""
    if options.arm_cpu and options.host != arm.Arm.name:
        raise UserError(f"--arm-cpu is a processor of --host {arm.Arm.name}")
    if options.host == LOCAL.name:
        if options.paddle_lite_arm:
            raise UserError("--paddle-lite-arm is for another host: --host arm")
        return LOCAL
    if options.paddle_lite_arm:
        os.environ[library.VARIABLE] = options.paddle_lite_arm
    if options.host == Phone.name:
        return connected_phone()
    if options.host == arm.Arm.name:
        return arm.Arm(options.arm_cpu or arm.DEFAULT_CPU)
    return Ssh(options.host.partition(":")[2])


def chosen_cells(options: argparse.Namespace, host: Host = LOCAL) -> list[Cell]:
    """The cells that the arguments ask for, without those that "all" means and the host cannot
    run; UserError for a name that there is not, or that it cannot run, and where none is left."""
    names = options.target or options.target_default
    cells = find_cells(names, options.precision)
    for name in options.target or ():
        if name in TARGETS and not any(target.name == name for target, _ in cells):
            say(f"  target {name} has no {' or '.join(options.precision)}, and is left out")
        if name in TARGETS and TARGETS[name].elsewhere and "url" not in options:
            raise UserError(f"target {name} has no file of ours: {TARGETS[name].problem()}")
    check_methods(cells, options.method)
    if host is LOCAL:
        return cells
    problems = {target.name: target.host_problem(host) for target, _ in cells}
    for name, problem in problems.items():
        if problem and name in names:
            raise UserError(f"target {name} does not run on host {host.name}: {problem}")
    left = [(target, precision) for target, precision in cells if not problems[target.name]]
    if not left:
        why = [f"{name}: {problem}" for name, problem in problems.items()]
        raise UserError(f"no target runs on host {host.name}: {'; '.join(why)}")
    return left


def chosen_files(options: argparse.Namespace) -> Files:
    return Files(
        options.weights,
        options.classes,
        Options(
            options.opset or DEFAULT_OPSET,
            quant=_quant_config(options),
            named=_named(options),
            at_most=options.calib_photos,
            recalibrate=options.recalibrate,
        ),
        Photos(
            calibration=options.calib,
            calibration_count=options.calib_photos or COUNT,
            named=False,
        ),
        named=bool(options.precision or options.calib),
        weights_key=options.weights_key,
        config=options.config,
        calibrated=getattr(options, "calibrated", None),  # most commands do not ask
    )


def _named(options: argparse.Namespace) -> frozenset[str]:
    """What the user named of that which an INT8 file depends on (see `Options`)."""
    words = {"opset": "opset", "calib": "photos", "calib_photos": "count"}
    words |= {word: word for word in ("method", "keep_float")}
    return frozenset(what for word, what in words.items() if getattr(options, word))


def _quant_config(options: argparse.Namespace) -> QuantConfig | None:
    if not (options.method or options.keep_float):
        return None
    return QuantConfig(options.method or DEFAULT_METHOD, tuple(options.keep_float or ()))


def chosen_photos(options: argparse.Namespace) -> Photos:
    return Photos(
        options.data or DEMO,
        options.photos,
        options.skip_bad,
        options.calib,
        options.calib_photos or COUNT,
        named=options.data is not None,
        allow_seen=getattr(options, "allow_seen", None),  # a package has no accuracy
        labels=UNLABELLED if options.labels == NO_LABELS else AS_FOUND,
        more=getattr(options, "more", None),
    )
