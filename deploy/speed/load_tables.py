"""How a server's load is shown."""

from typing import Any

from common import console


def show(outcomes: list[dict[str, Any]]) -> None:
    """Print throughput and latencies by the requests under way, beside the same network here."""
    for one in outcomes:
        about = one["endpoint"]
        figures = ("photos/s", "p50 ms", "p99 ms", "requests", "here photos/s")
        headers = (">under way", *(f">{name}" for name in (*figures, "ratio", "95 % interval")))
        console.table(
            f"{one['name']} {one['precision']} at {about['url']} ({about['server']}), requests of "
            f"one photo each; here: {one['here']} in a process, one photo after the other",
            [*headers, ""],
            [_row(count, found) for count, found in one["load"].items()],
            important=("under way", "photos/s", "ratio"),
        )
        print(
            "ratio: the server's photos a second over those here, the median over pairs of blocks "
            "that were taken by turns, with its 95 % interval"
        )
        for count, found in one["load"].items():
            if found["noisy"]:
                print(f"{one['name']}, {count} under way: noisy: {'; '.join(found['noisy'])}")


def _row(count: str, found: dict[str, Any]) -> list[str]:
    low, high = found["ci95"]
    return [
        count,
        f"{found['photos_per_s']:.1f}",
        f"{found['p50_ms']:.1f}",
        "-" if found["p99_ms"] is None else f"{found['p99_ms']:.1f}",
        str(found["requests"]),
        f"{found['here_photos_per_s']:.1f}",
        f"{found['ratio']:.2f}",
        f"{low:.2f} … {high:.2f}",
        console.colored("noisy", "yellow") if found["noisy"] else "",
    ]
