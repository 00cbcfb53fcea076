"""A test that names a row nobody knows is refused, and the report of a run says what each row's tests did."""

import json
from pathlib import Path

import pytest

from tests.support.rows import Rows, known_ids

pytest_plugins = ["pytester"]

SUITE = """
import pytest

@pytest.mark.row("F-09", "F-07")
def test_shown(): pass

@pytest.mark.row("F-09")
@pytest.mark.parametrize("value", [1, 2])
def test_half(value): assert value == 1

@pytest.mark.row("T-03")
def test_not_here(): pytest.skip("no reason")

@pytest.mark.row("A-08")
@pytest.mark.xfail(strict=True)
def test_known_fault(): assert False

@pytest.fixture
def falls_over():
    yield
    raise RuntimeError("on the way out")

@pytest.mark.row("E-01")
def test_breaks_later(falls_over): pass

def test_without_row(): pass
"""

CONFTEST = """
from pathlib import Path
from tests.support.rows import Rows, known_ids

def pytest_configure(config):
    config.pluginmanager.register(Rows(known_ids(), Path(config.rootpath) / "rows.json"))
    config.addinivalue_line("markers", "row(*ids): rows")
"""


@pytest.fixture
def suite(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> pytest.Pytester:
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).resolve().parents[2]))
    pytester.makeconftest(CONFTEST)
    pytester.makepyfile(test_suite=SUITE)
    return pytester


@pytest.mark.parametrize(
    "arguments", [pytest.param((), id="one-process"), pytest.param(("-n", "2"), id="xdist")]
)
def test_the_report_holds_the_outcome_of_each_test_with_its_rows(
    suite: pytest.Pytester, arguments: tuple[str, ...]
) -> None:
    suite.runpytest_subprocess("-p", "no:cacheprovider", *arguments)

    report = json.loads((suite.path / "rows.json").read_text())
    seen = {test["test"].partition("::")[2]: (test["outcome"], test["rows"]) for test in report["tests"]}
    assert seen == {
        "test_shown": ("passed", ["F-09", "F-07"]),
        "test_half[1]": ("passed", ["F-09"]),
        "test_half[2]": ("failed", ["F-09"]),
        "test_not_here": ("skipped", ["T-03"]),
        "test_known_fault": ("xfailed", ["A-08"]),
        "test_breaks_later": ("failed", ["E-01"]),
        "test_without_row": ("passed", []),
    }
    assert report["totals"] == {"passed": 3, "failed": 2, "skipped": 1, "xfailed": 1}


@pytest.mark.parametrize(
    ("marker", "arguments"),
    [
        pytest.param('row("F-99")', (), id="unknown"),
        pytest.param('row("F-99")', ("-n", "2"), id="unknown-xdist"),
        pytest.param("row()", (), id="none"),
        pytest.param('row(id="F-09")', (), id="by-name"),
    ],
)
def test_a_row_that_does_not_exist_stops_the_run(
    suite: pytest.Pytester, marker: str, arguments: tuple[str, ...]
) -> None:
    suite.makepyfile(test_suite=f"import pytest\n\n@pytest.mark.{marker}\ndef test_it(): pass\n")

    result = suite.runpytest_subprocess("-p", "no:cacheprovider", *arguments)

    assert result.ret != 0
    assert "test_suite.py::test_it" in result.stdout.str() + result.stderr.str()
    assert " passed" not in result.stdout.str()


def test_a_module_that_cannot_be_collected_counts_as_failed(suite: pytest.Pytester) -> None:
    suite.makepyfile(test_broken="import nothing_of_that_name")

    suite.runpytest_subprocess("-p", "no:cacheprovider", "--continue-on-collection-errors")

    report = json.loads((suite.path / "rows.json").read_text())
    assert {"test": "test_broken.py", "rows": [], "outcome": "failed"} in report["tests"]


def test_rows_and_pitfalls_have_unique_ids() -> None:
    ids = known_ids()

    assert {"E-01", "A-29", "S-60", "F-18", "T-07", "C-13", "G-30", "P-40"} <= ids
    assert len(ids) == 161 + 65


def test_without_a_report_file_nothing_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)

    Rows(known_ids(), None).pytest_sessionfinish(session=None)

    assert list(tmp_path.iterdir()) == []
