"""The requirement rows and pitfalls as the tests know them: loading, and the run's report by row.

`Rows` is a pytest plugin that tests/conftest.py registers. It refuses a test that names a row which
does not exist, and with --rows-report=FILE writes which test showed which row and how it went. The
outcomes are those of the run: nothing is read from the text of a test. Next door: tools/trace.py
turns the file into docs/requirements/README.md.
"""

import json
import tomllib
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

import pytest

REQUIREMENTS = Path(__file__).resolve().parents[2] / "docs" / "requirements"


def known_ids(folder: Path = REQUIREMENTS) -> frozenset[str]:
    """Every id a test may name."""
    rows = tomllib.loads((folder / "rows.toml").read_text())["rows"]
    pitfalls = tomllib.loads((folder / "pitfalls.toml").read_text())["pitfalls"]
    return frozenset(entry["id"] for entry in (*rows, *pitfalls))


class Rows:
    """Row → test → outcome of one run; under xdist kept by the controller, from its workers' reports."""

    def __init__(self, ids: Iterable[str], report: Path | None) -> None:
        self._ids = frozenset(ids)
        self._report = report
        self._rows: dict[str, list[str]] = {}
        self._outcomes: dict[str, str] = {}

    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        unknown: list[str] = []
        for item in items:
            named = [row for mark in item.iter_markers("row") for row in mark.args]
            if any(mark.kwargs or not mark.args for mark in item.iter_markers("row")):
                unknown.append(f'{item.nodeid}: a row marker takes ids only: row("F-09")')
            unknown += [f"{item.nodeid}: no row {row!r}" for row in named if row not in self._ids]
            # user_properties travel with the report from an xdist worker to the controller.
            item.user_properties += [("row", row) for row in dict.fromkeys(named)]
        if unknown:
            listed = "\n".join(unknown)
            raise pytest.UsageError(
                f"{listed}\nThe rows are in docs/requirements/rows.toml and pitfalls.toml."
            )

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        self._rows[report.nodeid] = [str(value) for name, value in report.user_properties if name == "row"]
        before = self._outcomes.get(report.nodeid, "passed")
        if report.failed:
            # A failing teardown after a passing call is a failing test.
            self._outcomes[report.nodeid] = "failed"
        elif report.skipped and before == "passed":
            self._outcomes[report.nodeid] = "xfailed" if hasattr(report, "wasxfail") else "skipped"
        else:
            self._outcomes.setdefault(report.nodeid, "passed")

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        if report.failed:
            self._rows[report.nodeid] = []
            self._outcomes[report.nodeid] = "failed"

    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        if self._report is None or hasattr(session.config, "workerinput"):
            return
        tests = [
            {"test": test, "rows": self._rows[test], "outcome": outcome}
            for test, outcome in sorted(self._outcomes.items())
        ]
        document = {"totals": Counter(self._outcomes.values()), "tests": tests}
        self._report.parent.mkdir(parents=True, exist_ok=True)
        self._report.write_text(json.dumps(document, indent=1) + "\n")
