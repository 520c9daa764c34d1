"""Serve models over REST and gRPC (KServe v2), by a Triton server, until Ctrl-C.

    python deploy/serve.py --model SqueezeNet1_1 [--target openvino] [--precision int8]

Served is the file of onnx (the default), openvino or paddle. Each model takes tensors;
`<model>_photo` takes the bytes of photo files, which it prepares as the toolkit does. PORT is
REST's, the two after it are gRPC's and the metrics'; 0 takes any that are free. Only this machine
reaches it unless --host names another of its addresses, or 0.0.0.0: there is no authentication.
With --export a folder for another server is written, and nothing is served. See docs/serving.md.

Exit status: 0 it was ended by Ctrl-C or SIGTERM, 1 a model does not load or the server died, 2 bad
input, 3 what would run here is only simulated.
"""

import sys

if __name__ == "__main__":
    sys.path.insert(0, f"{sys.path[0]}/..")
    import common.start  # noqa: F401

from argparse import Namespace
from collections.abc import Sequence

from common.cli import NOT_HERE, Exit, Parser, choice, complain, end_with, run, whole
from common.console import say, shown, table
from common.errors import UnavailableError, UserError
from common.paths import absolute
from deploy.request.arguments import add_build_arguments, add_file_arguments
from deploy.serving.addresses import LOOPBACK, PORT, Addresses, find_addresses, host_address
from deploy.serving.export import FORMATS, check_folder, export
from deploy.serving.export_kserve import check_storage
from deploy.serving.making import check_runs_here, chosen_cell, models_to_serve
from deploy.serving.models import Model
from deploy.serving.names import INPUT, OUTPUT, PHOTO, photo_name
from deploy.serving.repository import write_repository
from deploy.serving.triton import Triton
from runtimes.environments import SERVE
from runtimes.hosts.local import child_folder


def main() -> int:
    parser = Parser(prog="python deploy/serve.py", description=__doc__)
    add_build_arguments(parser)
    add_file_arguments(parser, target_default=["onnx"], precision_default="fp32; one of them")
    parser.add_argument(
        "--port",
        type=whole(0, 65533),
        metavar="N",
        help=f"of REST; gRPC and metrics have the two after it; 0: any (default: {PORT})",
    )
    parser.add_argument(
        "--host",
        metavar="A",
        help=f"the address to listen on (default: {LOOPBACK}; 0.0.0.0: all networks, without any "
        "authentication)",
    )
    _add_export_arguments(parser)
    options = parser.parse_args()
    try:
        return _export(options) if options.export else _serve(options)
    except UnavailableError as error:
        complain(error)
        end_with(NOT_HERE)
        return Exit.UNDECIDED


def _add_export_arguments(parser: Parser) -> None:
    parser.add_argument(
        "--export",
        type=absolute,
        metavar="DIR",
        help="write a folder for a production server, and serve nothing",
    )
    parser.add_argument(
        "--format",
        type=choice(*FORMATS),
        metavar="F",
        help="of that folder: triton (a full one, by its own backends), ovms (OpenVINO's Model "
        "Server) or kserve",
    )
    parser.add_argument(
        "--storage",
        metavar="URI",
        help="with kserve: where the folder's models will lie, as pvc://claim/path or s3://…",
    )


def _export(options: Namespace) -> Exit:
    if options.port is not None or options.host:
        raise UserError("--export serves nothing: leave out --port and --host")
    if options.format is None:
        raise UserError(f"--export needs --format ({', '.join(FORMATS)})")
    if options.format == "kserve":
        check_storage(options.storage)
    elif options.storage:
        raise UserError("--storage is for --format kserve")
    format_ = FORMATS[options.format]
    options.target_default = [format_.target]
    target, precision = cell = chosen_cell(options)
    if problem := format_.problem(target, precision):
        raise UserError(problem)
    check_folder(options.export)
    models = models_to_serve(options, cell)
    start = export(options.export, options.format, models, options.storage)
    for model in models:
        print(f"{model.name} {target.name} {precision}: {shown(options.export)}")
    print(f"  to start it there: {start}")
    return Exit.OK


def _serve(options: Namespace) -> Exit:
    if options.format or options.storage:
        raise UserError("--format and --storage are for --export")
    port = PORT if options.port is None else options.port
    if problem := SERVE.problem():
        raise UserError(f"the server: {problem}")
    cell = chosen_cell(options)
    check_runs_here(cell)
    host = host_address(options.host or LOOPBACK)
    find_addresses(host, port)  # refused before any work
    models = models_to_serve(options, cell)
    addresses = find_addresses(host, port)
    with child_folder() as folder:
        repository = folder / "models"
        write_repository(repository, models)
        with Triton(folder, repository, addresses) as triton:
            try:
                _show(models, addresses, triton)
                triton.watch()
            except KeyboardInterrupt:
                say("  ending …")
    say("  ended, with all that it had started")
    return Exit.OK


def _show(models: Sequence[Model], addresses: Addresses, triton: Triton) -> None:
    here = f"{addresses.here}:{addresses.http}"
    if addresses.is_open:
        say(
            f"  warning: whoever reaches {addresses.host}:{addresses.http} can ask the models: "
            "there is no authentication and no encryption; put a proxy that has both before it"
        )
    rows = []
    for model in models:
        shape = ", ".join(["n", *map(str, model.input_shape)])
        of = f"{model.target.name} {model.precision}"
        answer = f"{OUTPUT} float32 [n, {model.classes}]"
        rows.append([model.name, of, f"{INPUT} float32 [{shape}]", answer])
        rows.append([photo_name(model.name), of, f"{PHOTO} bytes [n, 1]: JPEG, PNG, …", answer])
    table("Served", ["model", "file", "takes", "answers"], rows)
    print(f"REST http://{here}   gRPC {addresses.here}:{addresses.grpc}", end="   ")
    print(f"metrics http://{addresses.here}:{addresses.metrics}/metrics")
    print(f"ready in {triton.seconds:.1f} s, {triton.memory_mib()} MiB; Ctrl-C ends it", flush=True)


if __name__ == "__main__":
    run(main)
