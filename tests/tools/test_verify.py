"""The last line of a run counts every test of every stage, and a stage that died is not a success."""

import json
from collections import Counter
from pathlib import Path

import pytest

from tools import memory
from tools.memory import in_memory
from tools.packages import missing, steps
from tools.verify import result_line, totals


def report(path: Path, **counts: int) -> Path:
    path.write_text(json.dumps({"totals": counts, "tests": []}))
    return path


def test_outcomes_of_all_runs_are_summed(tmp_path: Path) -> None:
    runs = [report(tmp_path / "a", passed=5, skipped=1), report(tmp_path / "b", passed=2, failed=1)]

    assert result_line(totals(runs)) == "7 passed, 1 failed, 1 skipped"


def test_a_run_that_left_no_report_is_an_error(tmp_path: Path) -> None:
    runs = [report(tmp_path / "a", passed=5), tmp_path / "none"]

    assert result_line(totals(runs)) == "5 passed, 0 failed, 1 errors"


@pytest.mark.parametrize(
    ("counted", "line"),
    [
        pytest.param(Counter(passed=3), "3 passed, 0 failed", id="all-passed"),
        pytest.param(Counter(), "0 passed, 0 failed", id="nothing-ran"),
    ],
)
def test_passed_and_failed_are_always_named(counted: Counter[str], line: str) -> None:
    assert result_line(counted) == line


def test_only_the_packages_that_are_not_there_are_missing() -> None:
    assert missing({"chromium": lambda: None, "openssl": lambda: "/usr/bin/openssl"}) == ["chromium"]


def test_no_database_server_of_the_system_is_started() -> None:
    first, *others = steps(["openssl", "postgresql"])

    assert "create_main_cluster = false" in first[-1]
    assert not any("postgresql" in word for word in others[0])
    assert others[1][-2:] == ["openssl", "postgresql"]


def test_without_a_database_to_install_nothing_is_configured() -> None:
    assert not any("postgresql" in word for step in steps(["openssl"]) for word in step)


def test_what_tests_write_is_in_memory_until_the_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "usable", lambda folder: True)
    with in_memory(tmp_path) as options:
        (folder,) = tmp_path.iterdir()
        (folder / "database").write_text("x")
        assert options == [f"--basetemp={folder / 't'}"]

    assert not list(tmp_path.iterdir())


def test_without_a_place_in_memory_tests_write_where_they_always_do(tmp_path: Path) -> None:
    with in_memory(tmp_path / "none") as options:
        assert options == []


def test_a_small_place_in_memory_is_left_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "NEEDED_BYTES", 1 << 60)
    with in_memory(tmp_path) as options:
        assert options == []
    assert not list(tmp_path.iterdir())
