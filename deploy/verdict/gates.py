"""Whether a drift is within its budget: the gates, which turn a `Comparison` into a `Verdict`.

The numeric gate is for steps that promise the same arithmetic (fp32 to fp32), the others for those
that do not (fp16, bf16, int8): the statistical one where photos have labels, the unlabelled one
where they have none. docs/verdicts.md derives them.
"""

import math
from dataclasses import dataclass

from common.intervals import exact_interval
from deploy.verdict import probabilities
from deploy.verdict.drift import Comparison
from deploy.verdict.paired import more_photos_to_exclude
from deploy.verdict.result import (
    Budget,
    Estimate,
    Judged,
    Powered,
    Result,
    Temperature,
    Unlabelled,
)
from deploy.verdict.unlabelled import (
    POWERED,
    STRINGER,
    Decisions,
    bound,
    more_photos_to_bound,
)

MAX_RELATIVE = 1e-3  # the numeric gate's limit on a photo's relative logit difference
BUDGET_SHARE = 0.01  # of the reference top-1: MLPerf Inference's 99 % rule


@dataclass(frozen=True)
class Verdict:
    """What a gate says: pass, fail or undecided, one sentence why, and the budget applied; and what
    was seen without labels, where that was looked at."""

    verdict: Judged
    reason: str
    budget: Budget
    unlabelled: Unlabelled | None = None


def gate(precision: str) -> str:
    """Which gate a target of this precision has to pass: numeric or statistical."""
    return "numeric" if precision == "fp32" else "statistical"


def judge(
    found: Comparison,
    precision: str,
    budget_pp: float | None = None,
    decisions: Decisions | None = None,
) -> Verdict:
    """The verdict of the gate that a precision and the photos have.

    `found` is of the photos with labels, or of all where none has any; `decisions` of all, where
    the unlabelled gate is to say more than its bound (the numeric one has no use for them).
    `budget_pp` is as for `statistical_verdict`.
    """
    if gate(precision) == "numeric":
        return numeric_verdict(found)
    if found.reference is None:
        return unlabelled_verdict(decisions or Decisions(found), budget_pp)
    return statistical_verdict(found, budget_pp, decisions)


def numeric_verdict(found: Comparison) -> Verdict:
    """Whether the target computes what the reference does, up to rounding."""
    faults = _non_finite_faults(found) or _numeric_faults(found)
    reason = "; ".join(faults) or (
        f"over {_photos(found.images)} the largest relative logit difference is "
        f"{found.drift.max_rel:.1e} and no top-1 class changed except on ties"
    )
    limit = f"relative logit difference <= {MAX_RELATIVE:.0e}, no top-1 change except on ties"
    return Verdict("fail" if faults else "pass", reason, Budget(kind="numeric", limit=limit))


def statistical_verdict(
    found: Comparison, budget_pp: float | None = None, decisions: Decisions | None = None
) -> Verdict:
    """Whether the loss of top-1 accuracy is within a budget, in percentage points.

    The budget defaults to 1 % of the reference top-1. The whole 95 % interval must lie on one side
    of it; otherwise more photos are needed, and the reason says how many. `decisions` are of these
    photos and of others without labels: their interval counts where it is narrower, and their bound
    and estimate where the intervals decide nothing.
    """
    assert found.reference, "photos without labels have a gate of their own"
    budget = _allowed(found.reference.top1, budget_pp)
    limit = Budget(kind="statistical", limit=budget.limit)
    everything = decisions.compared if decisions else found
    beside = describe(decisions, budget, found) if decisions else None
    if faults := _non_finite_faults(everything):
        return Verdict("fail", "; ".join(faults), limit, beside)
    if found.reference.top1 == 0:
        reason = f"the reference gets none of {_photos(found.images)} right, so a loss "
        return Verdict("undecided", f"{reason}cannot be seen", limit, beside)
    (low, high), measurement = _measurement(found, beside)
    allowed = f"a loss of {budget.loss:.2f} pp"
    if low >= -budget.loss:
        # A file may be as accurate as the reference, and yet another classifier.
        changed = f"{found.flips:,} decision{'s' * (found.flips != 1)} changed"
        return Verdict("pass", f"{measurement} stays within {allowed}; {changed}", limit, beside)
    if high < -budget.loss:
        return Verdict("fail", f"{measurement} is beyond {allowed}", limit, beside)
    if decisions and beside:
        alone = unlabelled_verdict(decisions, budget.loss, beside)
        reason = f"{measurement} may or may not stay within {allowed}; {alone.reason}"
        return Verdict(alone.verdict, reason, limit, beside)
    return Verdict(
        "undecided",
        f"{measurement} may or may not stay within {allowed}; {_what_decides(found, budget.loss)}",
        limit,
    )


def unlabelled_verdict(
    decisions: Decisions, budget_pp: float | None = None, beside: Unlabelled | None = None
) -> Verdict:
    """Whether the loss of top-1 is within a budget, whatever the labels are.

    The budget defaults to 1 % of the top-1 that the reference's probabilities expect of itself. It
    is a pass where no more decisions changed; else it is undecided, whatever the estimate says.
    `beside` is what was described of these decisions already.
    """
    found = decisions.compared
    budget = _allowed(decisions.expected_top1, budget_pp, measured=False)
    limit = Budget(kind="unlabelled", limit=budget.limit)
    if faults := _non_finite_faults(found):
        return Verdict("fail", "; ".join(faults), limit, beside)
    beside = beside or describe(decisions, budget)
    whole = (
        f"{found.flips:,} of {_photos(found.images)} changed their decision, so top-1 fell by at "
        f"most {beside.bound_pp:.2f} pp whatever the labels are"
    )
    if beside.bound_pp <= budget.loss:
        return Verdict("pass", f"{whole}, within a loss of {budget.loss:.2f} pp", limit, beside)
    more = more_photos_to_bound(budget.loss / 100, found.flips, found.images)
    decides = f"about {more:,} more photos would show it to be within" if more else "beyond"
    reason = f"{whole}, {decides} a loss of {budget.loss:.2f} pp{_estimated(beside.estimate)}"
    return Verdict("undecided", reason, limit, beside)


def describe(
    decisions: Decisions, budget: "_Budget", labelled: Comparison | None = None
) -> Unlabelled:
    """What decisions say without labels, as a result has it; `labelled` is the comparison of those
    photos that have any."""
    found, estimate = decisions.compared, None
    changed, images = found.flips, found.images
    if by := decisions.estimate:
        estimate = Estimate(
            top1_pp=100 * by.drift,
            ci95_pp=(100 * by.low, 100 * by.high),
            ci_method=STRINGER,
            largest_pp=100 * decisions.largest,
            temperature=_temperature(decisions.temperature),
            verdict=_side(100 * by.low, 100 * by.high, budget.loss),
        )
    powered = None
    if (by := decisions.powered) and labelled and labelled.drift.ci95_pp:
        low, high = labelled.drift.ci95_pp
        powered = Powered(
            top1_pp=100 * by.drift,
            ci95_pp=(100 * by.low, 100 * by.high),
            ci_method=POWERED,
            used=100 * (by.high - by.low) < high - low,
        )
    return Unlabelled(
        images=images,
        changed=changed,
        agreement_ci95=exact_interval(images - changed, images),
        bound_pp=100 * bound(changed, images),
        expected_top1=decisions.expected_top1,
        estimate=estimate,
        powered=powered,
    )


def loss_allowed(one: Result, budget_pp: float | None) -> float:
    """The loss of top-1 that a result's gate allows, in percentage points; `budget_pp` is what was
    asked for."""
    if one.reference:
        return _allowed(one.reference.top1, budget_pp).loss
    expected = one.unlabelled.expected_top1 if one.unlabelled else None
    return _allowed(expected, budget_pp, measured=False).loss


@dataclass(frozen=True)
class _Budget:
    """A loss of top-1 in percentage points, and where it is from, in words."""

    loss: float
    limit: str


def _allowed(top1: float | None, budget_pp: float | None, *, measured: bool = True) -> _Budget:
    """The loss that is allowed: what is asked for, else a share of the reference's top-1."""
    if budget_pp is not None and not 0 <= budget_pp < math.inf:
        raise ValueError(f"a budget is a loss of 0 or more percentage points, not {budget_pp}")
    if budget_pp is not None:
        return _Budget(budget_pp, f"top-1 loss <= {budget_pp:.2f} pp")
    if top1 is None:
        return _Budget(0.0, "top-1 loss <= 0.00 pp (the reference's top-1 is not known)")
    loss = 100 * BUDGET_SHARE * top1
    of = "the reference top-1"
    if not measured:
        of = f"the {100 * top1:.1f} % that the reference expects of itself"
    return _Budget(loss, f"top-1 loss <= {loss:.2f} pp ({BUDGET_SHARE:.0%} of {of})")


def _side(low: float, high: float, loss: float) -> Judged:
    """On which side of a budget an interval of the drift lies."""
    if low >= -loss:
        return "pass"
    return "fail" if high < -loss else "undecided"


def _temperature(found: probabilities.Temperature) -> Temperature:
    errors = {"error_at_one": found.error_at_one, "error": found.error} if found.photos else {}
    return Temperature(value=found.value, photos=found.photos, **errors)


def _estimated(found: Estimate | None) -> str:
    """The estimate, in a clause; "" where there is none."""
    if found is None:
        return ""
    low, high = found.ci95_pp
    by = found.temperature
    fitted = "not fitted, for want of labels"
    if by.error_at_one is not None and by.error is not None:
        fitted = (
            f"fitted on {_photos(by.photos)}, whose calibration error it takes from "
            f"{100 * by.error_at_one:.1f} to {100 * by.error:.1f} %"
        )
    outcome = {
        "pass": "would pass",
        "fail": "would fail",
        "undecided": "decides nothing either",
    }[found.verdict]
    accept = "" if found.verdict == "undecided" else " (ACCEPT_ESTIMATED=1 makes it count)"
    return (
        f"; by the reference's own probabilities (temperature {by.value:.2f}, {fitted}) the drift "
        f"is {_signed(found.top1_pp)} pp (95 % interval {_signed(low)} to {_signed(high)}), which "
        f"{outcome}"
        f"{accept}"
    )


def _signed(points: float) -> str:
    """Percentage points with their sign; what rounds to none has a plus."""
    return f"{round(points, 2) + 0.0:+.2f}"


def _measurement(found: Comparison, beside: Unlabelled | None) -> tuple[tuple[float, float], str]:
    """The interval of the drift that decides, and the drift and it in words."""
    assert found.drift.top1_pp is not None
    assert found.drift.ci95_pp is not None
    drift_pp, (low, high) = found.drift.top1_pp, found.drift.ci95_pp
    powered = beside.powered if beside else None
    if powered is None or not powered.used or beside is None:
        words = f"(95 % interval {low:+.2f} to {high:+.2f}, {_photos(found.images)})"
        return (low, high), f"the top-1 drift {drift_pp:+.2f} pp {words}"
    least, most = powered.ci95_pp
    words = (
        f"(95 % interval {least:+.2f} to {most:+.2f}, prediction-powered by "
        f"{_photos(found.images)} with labels and {beside.images - found.images:,} without; "
        f"with labels alone {drift_pp:+.2f} pp, {low:+.2f} to {high:+.2f})"
    )
    return powered.ci95_pp, f"the top-1 drift {powered.top1_pp:+.2f} pp {words}"


def _non_finite_faults(found: Comparison) -> list[str]:
    sides = {"the target": found.drift.non_finite, "the reference": found.reference_non_finite}
    return [
        f"{side} computed {count:,} non-finite logit{'s' * (count > 1)}"
        for side, count in sides.items()
        if count
    ]


def _numeric_faults(found: Comparison) -> list[str]:
    faults, drift = [], found.drift
    if drift.max_rel > MAX_RELATIVE:
        # Six digits, so that a difference just over the limit does not read as the limit itself.
        faults.append(
            f"the largest relative logit difference {drift.max_rel:.6g} exceeds {MAX_RELATIVE:.0e}"
        )
    if drift.flips_beyond_tie:
        faults.append(
            f"{drift.flips_beyond_tie:,} of {_photos(found.images)} changed the top-1 class "
            "by more than a tie explains"
        )
    return faults


def _what_decides(found: Comparison, loss: float) -> str:
    drift = found.drift
    assert drift.gained is not None
    assert drift.lost is not None
    more = more_photos_to_exclude(-loss / 100, drift.gained, drift.lost, found.images)
    if more is None:
        return "the drift is exactly the budget, and no number of photos decides that"
    return f"about {more:,} more photo{'s' * (more > 1)} would decide it if these rates hold"


def _photos(count: int) -> str:
    return f"{count:,} photo{'s' * (count != 1)}"
