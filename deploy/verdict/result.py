"""The result of a model on a target: its form, its file, and how it is shown."""

from collections.abc import Sequence
from typing import Any

from common import console, files, machine
from common.cli import Exit
from common.paths import build_root
from deploy.verdict.drift import Drift, Verdict
from runtimes.session_pool import SIMULATED, SessionSpec

SCHEMA = 1

_COLORS = {"pass": "green", "fail": "red", "undecided": "yellow", "unavailable": "yellow"}


def absent(reason: str) -> dict[str, Any]:
    """The outcome where nothing here can run the target."""
    return {
        "verdict": "unavailable",
        "reason": reason,
        "environment": {"cpu": machine.cpu(), "isa": machine.isa()},
    }


def broken(reason: str) -> dict[str, Any]:
    """The outcome where the runtime died, or refused the file."""
    return {
        "verdict": "fail",
        "reason": reason,
        "environment": {"cpu": machine.cpu(), "isa": machine.isa()},
    }


def measured(
    drift: Drift, verdict: Verdict, session_spec: SessionSpec, environment: dict
) -> dict[str, Any]:
    """The outcome of a run. A simulation that passes is still `unavailable`, never `pass`."""
    outcome = {"verdict": verdict.verdict, "reason": verdict.reason}
    if session_spec.execution == SIMULATED:
        outcome["simulation"] = verdict.verdict
        if verdict.verdict == "pass":
            outcome["verdict"] = "unavailable"
        outcome["reason"] = f"simulated, since {session_spec.reason}: {verdict.reason}"
    return {**outcome, **drift.to_json(), "budget": verdict.budget, "environment": environment}


def write(outcome: dict[str, Any], device: str = "") -> None:
    """Keep a result as `build/<model>/results/<target>-<precision>[-<device>].json`.

    `device`, as a part of a file's name, tells results from other machines from this one's.
    """
    name = "-".join(filter(None, (outcome["target"], outcome["precision"], device))) + ".json"
    files.write_json(build_root() / outcome["model"] / "results" / name, outcome)


def kept(model: str) -> list[dict[str, Any]]:
    """The results of a model that are kept, in the order of their files' names."""
    paths = sorted((build_root() / model / "results").glob("*.json"))
    found = map(files.read_json, paths)
    return [one for one in found if isinstance(one, dict) and "verdict" in one]


def show(results: list[dict[str, Any]]) -> None:
    """Print results as a table, and below it the reason of everything that did not pass."""
    if not results:
        print("nothing to validate: no model has weights here; see --weights and --model")
        return
    from rich.markup import escape

    photos = ", ".join(dict.fromkeys(outcome["data"]["name"] for outcome in results))
    console.table(
        f"Drift against Paddle Inference, photos: {escape(photos)}",
        [
            "model",
            "target",
            "precision",
            "execution",
            ">photos",
            ">top-1 %",
            ">drift pp",
            "95 % interval",
            ">agree %",
            ">max rel",
            "verdict",
        ],
        [_row(outcome) for outcome in results],
    )
    for outcome in results:
        if outcome["verdict"] != "pass":
            print(
                f"{outcome['model']} {_where(outcome)} {outcome['precision']}: "
                f"{outcome['verdict']}: {outcome['reason']}"
            )
        if "made" in outcome:
            print(f"{outcome['model']} {_where(outcome)} {outcome['precision']}: {outcome['made']}")


def colored(verdict: str) -> str:
    """A verdict for a table's cell."""
    return f"[{_COLORS[verdict]}]{verdict}[/]"


def _row(outcome: dict[str, Any]) -> list[str]:
    from rich.markup import escape

    figures = ["-"] * 6
    if "drift" in outcome:
        drift = outcome["drift"]
        figures = [
            str(outcome["data"]["images"]),
            f"{100 * outcome['measured']['top1']:.1f}",
            f"{drift['top1_pp']:+.2f}",
            _interval(outcome),
            f"{100 * drift['agreement']:.1f}",
            f"{drift['max_rel']:.1e}",
        ]
    return [
        outcome["model"],
        escape(_where(outcome)),  # a device may be called [red]
        outcome["precision"],
        outcome["execution"],
        *figures,
        colored(outcome["verdict"]),
    ]


def _where(outcome: dict[str, Any]) -> str:
    """The target, with the device where that is another one than this machine."""
    device = outcome["environment"].get("device")
    return f"{outcome['target']} ({device})" if device else outcome["target"]


def _interval(outcome: dict[str, Any]) -> str:
    """The interval where it decides; a numeric gate asks for equal logits, not for statistics."""
    if outcome["budget"]["kind"] == "numeric":
        return "numeric gate"
    low, high = outcome["drift"]["ci95_pp"]
    return f"{low:+.2f} … {high:+.2f}"


def exit_status(results: Sequence[dict], accept_simulated: bool) -> Exit:
    """The exit status that these results amount to."""
    verdicts = set()
    for outcome in results:
        simulated = outcome["execution"] == SIMULATED and outcome.get("simulation") == "pass"
        verdicts.add("pass" if simulated and accept_simulated else outcome["verdict"])
    if "fail" in verdicts:
        return Exit.BROKEN
    return Exit.OK if verdicts == {"pass"} else Exit.UNDECIDED
