"""How benchmarks are shown: figures, floors, ratios, and the reasons beside them."""

from common import console


def show(results: list[dict]) -> None:
    """Print benchmarks, below them why some are absent or noisy, and the peers' ratios."""
    figures = ("threads", "batch", "median ms", "95 % interval", "p90", "p99", "spread", "runs")
    right = (f">{name}" for name in (*figures, "floor ms", "x floor"))
    columns = ["model", "target", "precision", *right, ""]
    rows = [row for outcome in results for row in _rows(outcome)]
    console.table("Latency of a whole batch", columns, rows, important=("batch", "median ms"))
    for outcome in results:
        name = f"{outcome['name']} {outcome['target']} {outcome['precision']}"
        if "reason" in outcome:
            print(f"{name}: {outcome['verdict']}: {outcome['reason']}")
        for batch, figure in outcome.get("latency", {}).items():
            if figure["noisy"]:
                print(f"{name} batch {batch}: noisy: {'; '.join(figure['noisy'])}")
    _show_floors(results)
    _show_peers(results)
    show_beside(results)


def _show_floors(results: list[dict]) -> None:
    on_cores, on_gpus = {}, {}
    for outcome in results:
        environment, name = outcome.get("environment", {}), outcome["name"]
        for batch, floor in outcome.get("floor", {}).items():
            if gpu := environment.get("gpu"):
                on_gpus[name, gpu, outcome["precision"], batch] = _parts(floor)
            else:
                on_cores[name, str(environment["threads"]), batch] = _parts(floor)
    for title, columns, rows in (
        ("in fp32: what a batch takes, and what these cores reached", (">threads",), on_cores),
        ("on a GPU, in the engine's precision", ("GPU", "precision"), on_gpus),
    ):
        if rows:
            print()
            console.table(
                f"The floor {title}",
                ["model", *columns, *(f">{name}" for name in ("batch", *_PARTS)), "bound by"],
                [[*key, *parts] for key, parts in rows.items()],
            )


def _show_peers(results: list[dict]) -> None:
    rows, reasons = [], []
    for outcome in results:
        cell = [outcome["name"], outcome["target"], outcome["precision"]]
        for batch, found in outcome.get("peers", {}).items():
            for peer, figures in found.items():
                noisy = list(figures["noisy"])
                if outcome["latency"][batch]["noisy"]:
                    noisy.append("so is ours alone, above")
                mark = console.colored("noisy", "yellow") if noisy else ""
                rows.append([*cell, batch, peer, *_ratio(figures), mark])
                if noisy:
                    name = f"{' '.join(cell)} batch {batch}, {peer}"
                    reasons.append(f"{name}: noisy: {'; '.join(noisy)}")
    if rows:
        print()
        console.table(
            "Against other tools on the same file, by turns",
            ["model", "target", "precision", ">batch", "other", *_RATIO, ""],
            rows,
            important=("batch", "ratio"),
        )
        print(
            f"{_BY_TURNS} Ours is the first. It is not the figure of the table above, where it had "
            "the cores to itself: here each block begins with what the other tool's left of caches "
            "and clocks."
        )
        for reason in reasons:
            print(reason)


def show_beside(results: list[dict]) -> None:
    """Print the published latencies beside those measured, where there are both, and why they
    cannot be compared; of benchmarks, or of results as JSON values."""
    both = [one for one in results if one.get("latency") and one.get("published")]
    rows: list[list[str]] = []
    contested: dict[str, int] = {}
    for one in both:
        block = one["published"]
        for batch, figure in one["latency"].items():
            if published := block["batch"].get(batch):
                marks = [
                    f" ({contested.setdefault(reason, len(contested) + 1)})"
                    for reason in published.get("contested", ())
                ]
                ratio = f"{published['ratio']:.2f}" if "ratio" in published else "-"
                cell = [one["name"], one["target"], one["precision"], batch]
                measured = f"{figure['median_ms']:.2f}"
                rows.append([*cell, measured, f"{published['ms']}{''.join(marks)}", ratio])
    if rows:
        print()
        console.table(
            "Measured beside published, ms of the whole batch (ratio: measured / published)",
            ["model", "target", "precision", ">batch", ">measured", ">published", ">ratio"],
            rows,
        )
    for reason, number in contested.items():
        print(f"({number}) contested: {reason}")
    for one in both:
        if not one["published"]["comparable"]:
            name = f"{one['name']} {one['target']} {one['precision']}"
            print(f"{name}: not comparable with the published figures: {one['published']['why']}")


def _rows(outcome: dict) -> list[list[str]]:
    head = [outcome["name"], outcome["target"], outcome["precision"]]
    if "latency" not in outcome:
        return [[*head, *["-"] * 10, console.colored(outcome["verdict"], "yellow")]]
    threads, floors = str(outcome["environment"]["threads"]), outcome.get("floor", {})
    return [
        [*head, threads, batch, *_figures(figure), *_floor(floors.get(batch)), _mark(figure)]
        for batch, figure in outcome["latency"].items()
    ]


def _figures(figure: dict) -> list[str]:
    low, high = (100 * (bound / figure["median_ms"] - 1) for bound in figure["ci95_ms"])
    return [
        f"{figure['median_ms']:.2f}",
        f"{low:+.1f} … {high:+.1f} %",
        _ms(figure["p90_ms"]),
        _ms(figure["p99_ms"]),
        f"{figure['spread']:.0%}",
        str(figure["runs"]),
    ]


def _floor(floor: dict | None) -> list[str]:
    return [_ms(floor["ms"]), f"{floor['times']:.2f}"] if floor else ["-", "-"]


_PARTS = ("multiply-adds 1e9", "MB", "1e9 multiply-adds/s", "GB/s", "floor ms")


def _parts(floor: dict) -> list[str]:
    """How a floor came about, and which of its two times is the larger."""
    work, pace = floor["gmacs"], floor["peak_gmacs_per_s"]
    moved, flow = floor["gbytes"], floor["peak_gbytes_per_s"]
    return [
        *(f"{work:.3f}", f"{1000 * moved:.1f}", f"{pace:.1f}", f"{flow:.1f}", _ms(floor["ms"])),
        "arithmetic" if work / pace > moved / flow else "memory",
    ]


def _mark(figure: dict) -> str:
    return console.colored("noisy", "yellow") if figure["noisy"] else ""


def _ms(value: float | None) -> str:
    return "-" if value is None else f"{value:.2f}"


_RATIO = (">ours ms", ">theirs ms", ">ratio", ">95 % interval", ">pairs", "verdict")
_BY_TURNS = (
    "ms: the median of a side's blocks, which were taken by turns; ratio: the median, over pairs "
    "of blocks, of the second side's time over the first's, with its 95 % interval."
)
_WORDS = {
    "first is faster": console.colored("ours is faster", "green"),
    "second is faster": console.colored("ours is slower", "yellow"),
}


def _ratio(figures: dict, words: dict[str, str] = _WORDS) -> list[str]:
    low, high = figures["ci95"]
    return [
        *(f"{figures['first_ms']:.2f}", f"{figures['second_ms']:.2f}", f"{figures['ratio']:.3f}"),
        *(f"{low:.3f} … {high:.3f}", str(figures["pairs"])),
        words.get(figures["verdict"], figures["verdict"]),
    ]


def show_comparisons(outcomes: list[dict]) -> None:
    """Print the ratios of two targets that were run by turns."""
    first, second = outcomes[0]["first"], outcomes[0]["second"]
    words = {"first is faster": f"{first} is faster", "second is faster": f"{second} is faster"}
    console.table(
        f"{first} and {second} by turns",
        ["model", ">batch", f">{first} ms", f">{second} ms", *_RATIO[2:], ""],
        [[one["name"], str(one["batch"]), *_ratio(one, words), _mark(one)] for one in outcomes],
    )
    print(_BY_TURNS)
    for one in outcomes:
        if one["noisy"]:
            print(f"{one['name']} batch {one['batch']}: noisy: {'; '.join(one['noisy'])}")
