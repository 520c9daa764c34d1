"""How a search for INT8 files is shown."""

from collections.abc import Iterator

from common import console
from deploy.verdict.reasons import seen_in_training
from deploy.verdict.result import Result
from deploy.verdict.tables import figures, verdict


def show(results: list[Result]) -> None:
    """Print attempts as a table, and below it what was chosen and what it costs."""
    console.table(
        "INT8 against Paddle Inference in FP32",
        [
            *("model", "target", "method", ">in float", "execution", ">photos", ">top-1 %"),
            *(">drift pp", "<95 % interval", ">agree %", ">FP32/INT8", ">MB", "verdict", ""),
        ],
        [_row(one) for one in results],
        important=("drift pp",),
    )
    for one in results:
        if one.chosen:
            for line in _remarks(one):
                print(f"{one.name} {one.target}: {line}")


def _row(one: Result) -> list[str]:
    assert one.calibration  # as every result in INT8 has it
    return [
        one.name,
        one.target,
        one.calibration.method,
        str(len(one.calibration.keep_float)),
        one.execution,
        *figures(one),
        f"{one.speed.ratio:.2f}" if one.speed else "-",
        f"{one.size.int8:.1f}" if one.size else "-",
        verdict(one),
        "chosen" if one.chosen else "",
    ]


def _remarks(one: Result) -> Iterator[str]:
    assert one.calibration
    if one.verdict != "pass":
        yield f"{one.verdict}: {one.reason}"
    if note := seen_in_training(one):
        yield note
    if one.calibration.keep_float:
        yield f"in float: {', '.join(one.calibration.keep_float)}"
    if alone := one.all_int8:
        ratio = f", ratio {alone.speed.ratio:.2f}" if alone.speed else ""
        yield f"with those layers in INT8 too: {alone.size.int8:.1f} MB{ratio}"
    shares = [
        f"{layer.layer} {100 * layer.logits:.2g} % of the logits' power, "
        f"{100 * layer.flips:.0f} % of decisions"
        for layer in one.sensitivity or ()
        if layer.logits is not None and layer.flips is not None
    ]
    if shares:
        yield f"most sensitive: {'; '.join(shares)}"
    if one.calibration.weight_bits < 8:
        yield (
            "weights of 7 bits, since this CPU saturates with 8; for CPUs with VNNI calibrate on "
            "one that has it"
        )
    if speed := one.speed:
        low, high = speed.ci95
        yield (
            f"{speed.int8_ms:.2f} ms in INT8, {speed.fp32_ms:.2f} ms in FP32, ratio "
            f"{speed.ratio:.2f} ({low:.2f} … {high:.2f}): {speed.advice}"
        )
    if one.size:
        yield f"{one.size.int8:.1f} MB in INT8, {one.size.fp32:.1f} MB in FP32"
