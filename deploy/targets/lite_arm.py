"""Paddle Lite on ARM phones and boards."""

import functools
from pathlib import Path

from calib.fake_quant import Grid
from calib.kept import source_of
from calib.quantize_lite import AS_WRITTEN, GRID, quantize_lite
from calib.quantize_lite import KIND as QUANTIZED
from common.errors import UserError
from convert import lite_file
from convert.artifact import Artifact
from convert.export import KIND as INFERENCE
from convert.export import SESSION as PADDLE_SESSION
from convert.to_lite import FILE, KINDS, kind_of_cut_file, to_lite
from deploy.targets.base import Engine, Options, Target, Tool, on_host
from deploy.targets.phone_cpu import ENOUGH, FP16_INSTRUCTIONS, simulated_fp16
from runtimes.environments import LITE
from runtimes.hosts.arm import Arm
from runtimes.hosts.base import Host
from runtimes.hosts.local import LOCAL, ByLocalPython
from runtimes.hosts.phone import Phone
from runtimes.hosts.ssh import Ssh
from runtimes.paddle_lite_arm import library, program
from runtimes.session_pool import NATIVE, NONE, SIMULATED, SessionSpec

_ASK = f"HOST={Arm.name} with {library.ASK}"
_ARM64 = "asimd"  # instructions that every one has
_SESSION = "runtimes.sessions.paddle_lite_arm:Session"


class LiteArm(Target):
    name = "lite-arm"
    summary = "Paddle Lite on ARM phones and boards"
    runs_on = (
        "an ARM device (`HOST=phone`, `HOST=ssh:NAME`), or as ARM code (`HOST=arm`), where Paddle "
        "Lite's ARM library is given (`PADDLE_LITE_ARM`); without both the file is built and "
        "inspected, fp16 and int8 are simulated, and no verdict is `pass`"
    )
    precisions = ("fp32", "fp16", "int8")
    kinds = (INFERENCE, KINDS["arm"])
    tools = (Tool("paddlepaddle"), Tool("onnxruntime"), Tool("paddlelite", LITE))
    hosts = (Arm.name, Phone.name, Ssh.name)
    fits_ranges = True
    black_box = True
    # The app's library must be of the version that wrote the file.
    engine = Engine("paddle-lite", FILE, lambda path: lite_file.read(path).version)

    def build(self, inference: Artifact, precision: str, options: Options) -> Artifact:
        if precision == "int8":
            inference = quantize_lite(inference, *options.measured(inference))
        elif precision == "fp16":
            inference = options.fitted(inference)
        return to_lite(inference, "arm", precision)

    def session_spec(self, precision: str) -> SessionSpec:
        absent = f"no ARM device is here to run it ({_ASK} executes its code)"
        if self.problem() or precision == "fp32":
            checked = "; the file's header, version and kernels are checked when it is made"
            return SessionSpec(NONE, reason=self.problem() or absent + checked)
        if precision == "fp16":
            return simulated_fp16(
                f"{absent}; its FP16 kernels are simulated, with their sums and transforms, "
                f"on no more than {ENOUGH} photos, which show an overflow and decide no drift"
            )
        # Never the x86 runtime, whose INT8 is wrong.
        return SessionSpec(SIMULATED, PADDLE_SESSION, reason=absent, options=AS_WRITTEN)

    def host_problem(self, host: Host) -> str | None:
        if host.kind not in self.hosts:
            return super().host_problem(host)
        if host.kind == Ssh.name and _ARM64 not in host.isa:
            return f"{host.name} is no 64-bit ARM"
        if not library.given():
            return f"it takes Paddle Lite's library for ARM, which no package holds: {library.ASK}"
        _runner(library.given(), host.kind)  # what is wrong with it is said before any work
        return None

    def session_spec_on(self, host: Host, precision: str) -> SessionSpec:
        lacking = precision == "fp16" and FP16_INSTRUCTIONS not in host.isa
        if host is LOCAL or lacking:
            return self.session_spec(precision)
        runner = f"{host.bring(_runner(library.given(), host.kind))}/{program.NAME}"
        session_spec = SessionSpec(NATIVE, _SESSION, options={"command": host.command([runner])})
        return on_host(ByLocalPython(host), session_spec, precision)

    def grid(self) -> Grid:
        return GRID

    def simulated_artifact(
        self, artifact: Artifact, inference: Artifact, precision: str, options: Options
    ):
        if precision == "int8":
            return source_of(artifact, self.name, QUANTIZED.name)
        return self.float_onnx(inference, precision, options)

    def graph_of(
        self, artifact: Artifact, inference: Artifact, precision: str, options: Options
    ) -> Artifact:
        if precision == "int8":
            return source_of(artifact, self.name, QUANTIZED.name)
        return super().graph_of(artifact, inference, precision, options)

    def cut_file(self, cut: Artifact, precision: str) -> Artifact:
        return to_lite(cut, "arm", precision, kind_of_cut_file("arm", cut))

    def problem(self) -> str | None:
        return LITE.problem()


@functools.cache
def _runner(named: str, kind: str) -> Path:
    """The folder with the runner for a library, which must be for this kind of host."""
    wanted: library.System = "android" if kind == Phone.name else "linux"
    found = library.find_library(named, wanted)
    if found.system != wanted:
        other = Phone.name if found.system == "android" else Arm.name
        raise UserError(
            f"{library.VARIABLE}={named} is the library for {found.system.capitalize()}, which "
            f"does not run on HOST={kind}: give the one for {wanted.capitalize()}, or HOST={other}"
        )
    return program.compiled(found)
