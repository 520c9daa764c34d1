"""How a search for INT8 files is shown."""

from collections.abc import Iterator

from common import console
from deploy.request.values import INT8
from deploy.verdict import result


def show(results: list[dict]) -> None:
    """Print attempts as a table, and below it what was chosen and what it costs."""
    console.table(
        "INT8 against Paddle Inference in FP32",
        [
            *("model", "target", "method", ">in float", "execution", ">photos", ">top-1 %"),
            *(">drift pp", "95 % interval", ">agree %", ">FP32/INT8", ">MB", "verdict", ""),
        ],
        [_row(one) for one in results],
    )
    for one in results:
        if one["chosen"]:
            for line in _remarks(one):
                print(f"{one['model']} {one['target']}: {line}")


def _row(outcome: dict) -> list[str]:
    quant, drift = outcome["calibration"], outcome.get("drift")
    figures = ["-"] * 5
    if drift:
        low, high = drift["ci95_pp"]
        figures = [
            str(outcome["data"]["images"]),
            f"{100 * outcome['measured']['top1']:.1f}",
            f"{drift['top1_pp']:+.2f}",
            f"{low:+.2f} … {high:+.2f}",
            f"{100 * drift['agreement']:.1f}",
        ]
    speed, size = outcome.get("speed"), outcome.get("size")
    return [
        outcome["model"],
        outcome["target"],
        quant["method"],
        str(len(quant["keep_float"])),
        outcome["execution"],
        *figures,
        f"{speed['ratio']:.2f}" if speed else "-",
        f"{size[INT8]:.1f}" if size else "-",
        result.colored(outcome["verdict"]),
        "chosen" if outcome["chosen"] else "",
    ]


def _remarks(outcome: dict) -> Iterator[str]:
    if outcome["verdict"] != "pass":
        yield f"{outcome['verdict']}: {outcome['reason']}"
    kept = outcome["calibration"]["keep_float"]
    if kept:
        yield f"in float: {', '.join(kept)}"
    if "all_int8" in outcome:
        alone = outcome["all_int8"]
        ratio = f", ratio {alone['speed']['ratio']:.2f}" if "speed" in alone else ""
        yield f"with those layers in INT8 too: {alone['size'][INT8]:.1f} MB{ratio}"
    effects = [one for one in outcome.get("sensitivity", ()) if one["logits"] is not None]
    if effects:
        shares = (
            f"{one['layer']} {100 * one['logits']:.2g} % of the logits' power, "
            f"{100 * one['flips']:.0f} % of decisions"
            for one in effects
        )
        yield f"most sensitive: {'; '.join(shares)}"
    if outcome["calibration"]["weight_bits"] < 8:
        yield (
            "weights of 7 bits, since this CPU saturates with 8; for CPUs with VNNI calibrate on "
            "one that has it"
        )
    if "speed" in outcome:
        speed = outcome["speed"]
        low, high = speed["ci95"]
        yield (
            f"{speed['int8_ms']:.2f} ms in INT8, {speed['fp32_ms']:.2f} ms in FP32, ratio "
            f"{speed['ratio']:.2f} ({low:.2f} … {high:.2f}): {speed['advice']}"
        )
    if "size" in outcome:
        yield f"{outcome['size'][INT8]:.1f} MB in INT8, {outcome['size']['fp32']:.1f} MB in FP32"
