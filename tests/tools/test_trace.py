"""The table of rows says what a run said, and a row without proof is named."""

import json
import os
from pathlib import Path

import pytest

from tools import trace
from tools.bootstrap import INPUTS
from tools.trace import Row, Shown, shown_by, table, without_proof


def row(name: str, due: str = "0.1") -> Row:
    return Row(name, "A system", f"what {name} | asks", "G", due)


def test_counts_are_those_of_the_report() -> None:
    shown = shown_by(
        [
            {"test": "tests/a.py::test_1", "rows": ["F-01", "F-02"], "outcome": "passed"},
            {"test": "tests/a.py::test_2", "rows": ["F-01"], "outcome": "passed"},
            {"test": "tests/b.py::test_3", "rows": ["F-01"], "outcome": "failed"},
            {"test": "tests/b.py::test_4", "rows": ["F-03"], "outcome": "skipped"},
        ]
    )

    assert shown["F-01"] == Shown(passed=2, failed=1, where={"tests/a.py"})
    assert shown["F-02"] == Shown(passed=1, failed=0, where={"tests/a.py"})
    assert "F-03" not in shown


@pytest.mark.parametrize(
    ("seen", "lacking"),
    [
        pytest.param(Shown(), ["F-01: no test passed: what F-01 | asks"], id="nothing"),
        pytest.param(Shown(passed=3, failed=1), ["F-01: a test failed: what F-01 | asks"], id="one-failed"),
        pytest.param(Shown(passed=1), [], id="shown"),
    ],
)
def test_a_due_row_needs_a_passed_test_and_no_failed_one(seen: Shown, lacking: list[str]) -> None:
    assert without_proof([row("F-01")], {"F-01": seen}) == lacking


def test_a_row_due_later_needs_none() -> None:
    assert without_proof([row("F-03", due="later")], {}) == []


def test_the_table_has_a_line_for_every_row_whether_shown_or_not() -> None:
    text = table([row("F-01"), row("F-02")], {"F-01": Shown(passed=2, where={"tests/a.py", "tests/b.py"})})

    assert "| F-01 | what F-01 \\| asks | G | 0.1 | 2 |  | `tests/a.py`, `tests/b.py` |" in text
    assert "| F-02 | what F-02 \\| asks | G | 0.1 |  |  |  |" in text


@pytest.fixture
def project(tmp_path: Path) -> Path:
    for name in INPUTS:
        (tmp_path / name).touch()
    (tmp_path / "oidcgate").mkdir()
    (tmp_path / "oidcgate" / "a.py").touch()
    (tmp_path / "rows.json").write_text(json.dumps({"tests": []}))
    for path in tmp_path.rglob("*"):
        os.utime(path, (1_000, 1_000))
    os.utime(tmp_path / "rows.json", (2_000, 2_000))
    return tmp_path


def test_a_report_younger_than_the_code_is_used(project: Path) -> None:
    assert trace.is_fresh(project / "rows.json", project)


@pytest.mark.parametrize("changed", ["oidcgate/a.py", "constraints.txt"])
def test_a_report_older_than_the_code_is_not_used(project: Path, changed: str) -> None:
    os.utime(project / changed, (3_000, 3_000))

    assert not trace.is_fresh(project / "rows.json", project)


def test_a_missing_report_is_not_fresh(project: Path) -> None:
    assert not trace.is_fresh(project / "none.json", project)
