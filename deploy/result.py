"""The result of a model on a target: its form, its file, and how it is shown."""

from typing import Any

from common import console, files, machine
from common.paths import build_root
from deploy.drift import Drift, Verdict
from deploy.targets.base import SIMULATED, Plan

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


def measured(drift: Drift, verdict: Verdict, plan: Plan, environment: dict) -> dict[str, Any]:
    """The outcome of a run. A simulation that passes is still `unavailable`, never `pass`."""
    outcome = {"verdict": verdict.verdict, "reason": verdict.reason}
    if plan.execution == SIMULATED:
        outcome["simulation"] = verdict.verdict
        if verdict.verdict == "pass":
            outcome["verdict"] = "unavailable"
        outcome["reason"] = f"simulated, since {plan.reason}: {verdict.reason}"
    return {**outcome, **drift.to_json(), "budget": verdict.budget, "environment": environment}


def write(outcome: dict[str, Any]) -> None:
    """Keep a result as `build/<model>/results/<target>-<precision>.json`."""
    name = f"{outcome['target']}-{outcome['precision']}.json"
    files.write_json(build_root() / outcome["model"] / "results" / name, outcome)


def show(results: list[dict[str, Any]]) -> None:
    """Print results as a table, and below it the reason of everything that did not pass."""
    if not results:
        print("nothing to validate: no model has weights here; see --weights and --model")
        return
    console.table(
        f"Drift against Paddle Inference, photos: {results[0]['data']['name']}",
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
                f"{outcome['model']} {outcome['target']} {outcome['precision']}: "
                f"{outcome['verdict']}: {outcome['reason']}"
            )


def colored(verdict: str) -> str:
    """A verdict for a table's cell."""
    return f"[{_COLORS[verdict]}]{verdict}[/]"


def _row(outcome: dict[str, Any]) -> list[str]:
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
        outcome["target"],
        outcome["precision"],
        outcome["execution"],
        *figures,
        colored(outcome["verdict"]),
    ]


def _interval(outcome: dict[str, Any]) -> str:
    """The interval where it decides; a numeric gate asks for equal logits, not for statistics."""
    if outcome["budget"]["kind"] == "numeric":
        return "numeric gate"
    low, high = outcome["drift"]["ci95_pp"]
    return f"{low:+.2f} … {high:+.2f}"
