"""What targets share whose FP16 is computed in FP16 on ARM CPUs that have it, and nowhere else."""

from convert.artifact import Artifact
from convert.simulate import ARM_SESSION
from deploy.targets.base import Options, Target, on_host
from runtimes.hosts.base import Host
from runtimes.session_pool import NATIVE, SIMULATED, SessionSpec

ENOUGH = 8  # photos where each takes seconds: an overflow shows
FP16_INSTRUCTIONS = "asimdhp"


def simulated_fp16(reason: str) -> SessionSpec:
    """Paddle Lite's FP16 kernels, simulated on a float32 ONNX file with fitted ranges."""
    return SessionSpec(
        SIMULATED, ARM_SESSION, reason=reason, photos=ENOUGH, batch=1, one_thread=True
    )


def half_note(precision: str) -> str:
    """A sentence for a package's page; "" where there is nothing to say."""
    if precision != "fp16":
        return ""
    return " In FP16 it computes on ARM CPUs that have it (ARMv8.2), elsewhere in float32."


class PhoneCpu(Target):
    """A runtime of phones: `session` opens its file, on this CPU and as ARM code."""

    session: str
    simulates: str  # of its FP16: why, and by what
    fits_ranges = True

    def session_spec(self, precision: str) -> SessionSpec:
        if precision == "fp16":
            return simulated_fp16(self.simulates)
        return SessionSpec(NATIVE, self.session)

    def session_spec_on(self, host: Host, precision: str) -> SessionSpec:
        if precision == "fp16" and FP16_INSTRUCTIONS in host.isa:
            return on_host(host, SessionSpec(NATIVE, self.session), precision)
        return super().session_spec_on(host, precision)

    def simulated_artifact(
        self, artifact: Artifact, inference: Artifact, precision: str, options: Options
    ):
        return self.float_onnx(inference, precision, options)
