"""docs/field-cases.md: the tests that it names are there."""

import ast
import re

import pytest

from common.paths import ROOT

PAGE = (ROOT / "docs" / "field-cases.md").read_text()


@pytest.mark.parametrize("named", sorted(set(re.findall(r"`(tests/[^`]+)`", PAGE))))
def test_a_named_test_is_there(named):
    file, *names = named.split("::")
    body = ast.parse((ROOT / file).read_text()).body
    for name in names:
        [found] = [one for one in body if getattr(one, "name", None) == name]
        body = getattr(found, "body", [])
    assert names


def test_every_row_has_one():
    rows = re.findall(r"^\| ([0-9]+) \|.*$", PAGE, re.M)
    assert [int(row) for row in rows] == [*range(1, 21), *range(1, 13)]
    assert all("`tests/" in line for line in PAGE.splitlines() if re.match(r"\| [0-9]", line))
