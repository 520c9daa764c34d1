"""What a report says in forms for other programs: Markdown, CSV, JUnit's XML, JSON."""

import csv
import io
import re
import xml.etree.ElementTree as ET
from collections.abc import Callable, Mapping, Sequence

from deploy.reports.comparison import Difference
from deploy.reports.runs import as_json_lines, column, execution_word, title
from deploy.reports.words import MARK, datasets, result_figures, summary
from deploy.verdict.result import Result
from deploy.verdict.tables import drift_interval
from runtimes.session_pool import NATIVE

_FIGURES = ("photos", "top-1 %", "drift pp", "95 % interval", "agree %", "max rel")
_CONTROL = re.compile(r"[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def markdown(results: Sequence[Result], differences: Sequence[Difference] | None) -> str:
    """For a comment on a pull request: what changed, the matrix, and why what did not pass."""
    lines = [f"**{summary(results)}** Photos: {_cell('; '.join(datasets(results)))}", ""]
    if differences is not None:
        moved = [one for one in differences if one.kind != "same"]
        lines += _rows(("", "result", "what"), [(one.kind, one.name, one.what) for one in moved])
        lines += [f"{len(differences) - len(moved)} results are as they were.", ""]
    columns = sorted({column(one) for one in results})
    cells = {(one.name, column(one)): one for one in results}
    lines += _rows(
        ("build", *map(str, columns)),
        [
            (name, *(_verdict(cells.get((name, one))) for one in columns))
            for name in dict.fromkeys(one.name for one in results)
        ],
    )
    why = [one for one in results if one.verdict != "pass"]
    if why:
        lines += ["<details><summary>Why the others did not pass</summary>", ""]
        lines += _rows(
            ("result", "verdict", *_FIGURES, "why"),
            [(title(one), execution_word(one), *result_figures(one), one.reason) for one in why],
        )
        lines += ["</details>", ""]
    return "\n".join(lines)


def table(results: Sequence[Result], _: object) -> str:
    """CSV, a result a row, figures as numbers in the units of docs/result.md."""
    stream = io.StringIO()
    rows = [_record(one) for one in results]
    writer = csv.DictWriter(stream, list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return stream.getvalue()


def junit(results: Sequence[Result], differences: Sequence[Difference] | None) -> str:
    """JUnit's XML: a result is a test case, and what got worse than in the other run another."""
    root = ET.Element("testsuites", name="drift")
    for name in dict.fromkeys(one.name for one in results):
        those = [one for one in results if one.name == name]
        suite = _suite(root, name, len(those))
        for one in those:
            case = ET.SubElement(suite, "testcase", classname=_xml(name), name=str(column(one)))
            if one.verdict != "pass":
                kind = "failure" if one.verdict == "fail" else "skipped"
                ET.SubElement(case, kind, message=_xml(f"{execution_word(one)}: {one.reason}"))
    worse = [one for one in differences or () if one.kind == "worse"]
    if worse:
        suite = _suite(root, "regressions", len(worse))
        for change in worse:
            case = ET.SubElement(suite, "testcase", classname="regressions", name=_xml(change.name))
            ET.SubElement(case, "failure", message=_xml(change.what))
    for suite in root:
        for kind, word in (("failure", "failures"), ("skipped", "skipped")):
            suite.set(word, str(len(suite.findall(f"testcase/{kind}"))))
    ET.indent(root)
    return ET.tostring(root, encoding="unicode", xml_declaration=True) + "\n"


def _json(results: Sequence[Result], _: object) -> str:
    return as_json_lines(results)


FORMS: Mapping[str, tuple[str, Callable[[Sequence[Result], Sequence[Difference] | None], str]]] = {
    "md": ("report.md", markdown),
    "csv": ("results.csv", table),
    "junit": ("junit.xml", junit),
    "json": ("results.json", _json),
}


def _suite(root: ET.Element, name: str, count: int) -> ET.Element:
    return ET.SubElement(root, "testsuite", name=_xml(name), tests=str(count))


def _verdict(one: Result | None) -> str:
    if one is None:
        return ""
    how = "" if one.execution == NATIVE else f" ({execution_word(one)})"
    return f"{MARK[one.verdict]} {one.verdict}{how}"


def _rows(headers: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    lines = [headers, ["---"] * len(headers), *rows]
    return [f"| {' | '.join(map(_cell, line))} |" for line in lines] + [""]


def _cell(text: str) -> str:
    """Text that Markdown takes as it is, in one cell."""
    return re.sub(r"([\\`*_{}\[\]<>|~#])", r"\\\1", " ".join(text.split()))


def _xml(text: str) -> str:
    """Without the characters that XML 1.0 has no way to say."""
    return _CONTROL.sub("�", text)


def _record(one: Result) -> dict[str, object]:
    drift, found = one.drift, drift_interval(one)
    first = (one.latency or {}).get("1")
    return {
        "build": one.name,
        "model": one.model,
        "target": one.target,
        "precision": one.precision,
        "host": one.host.name,
        "execution": one.execution,
        "verdict": one.verdict,
        "simulation": one.simulation,
        "photos": one.data.name,
        "images": one.data.images,
        "photos_sha256": one.data.sha256,
        "top1": one.measured and one.measured.top1,
        "drift_pp": found[0] if found else drift and drift.top1_pp,
        "drift_low_pp": found and found[1][0],
        "drift_high_pp": found and found[1][1],
        "agreement": drift and drift.agreement,
        "max_rel": drift and drift.max_rel,
        "median_ms_batch1": first and first.median_ms,
        "reason": one.reason,
    }
