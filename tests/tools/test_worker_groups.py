"""`--dist loadgroup`, with which `tools.verify` runs the tests, as tests/support/schedule.py has it."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tools.bootstrap import ROOT

RECORD = """
import os
from pathlib import Path
import pytest

def record(unit):
    with Path("record").open("a") as seen:
        seen.write(f"{os.environ['PYTEST_XDIST_WORKER']} {unit}\\n")
"""

GROUP = """
@pytest.mark.xdist_group("servers")
@pytest.mark.parametrize("number", range(20))
def test_of_a_group(number):
    record("group")
"""

MODULE = """
@pytest.mark.parametrize("number", range(20))
def test_of_none(number):
    record("module")
"""

SLOW = """
@pytest.mark.slow
@pytest.mark.parametrize("number", range(20))
def test_slow(number):
    record("slow module")
"""


@pytest.mark.slow
@pytest.mark.row("P-39")
def test_a_group_or_a_module_runs_in_one_worker_and_what_is_slow_begins(tmp_path: Path) -> None:
    hooks = "pytest_collection_modifyitems, pytest_xdist_make_scheduler"
    (tmp_path / "conftest.py").write_text(f"from tests.conftest import {hooks}\n")
    (tmp_path / "pytest.ini").write_text("[pytest]\nmarkers = slow\n")
    (tmp_path / "test_a.py").write_text(RECORD + MODULE)
    (tmp_path / "test_b.py").write_text(RECORD + GROUP + MODULE.replace("module", "module beside a group"))
    (tmp_path / "test_c.py").write_text(RECORD + SLOW)
    path = os.pathsep.join(part for part in (str(ROOT), os.environ.get("PYTHONPATH", "")) if part)
    # As an own run: what the outer one says of itself to its workers is not for this one.
    own = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")}
    command = ["-q", "-n", "2", "--dist", "loadgroup", "-p", "no:cacheprovider"]
    finished = subprocess.run(
        [sys.executable, "-m", "pytest", *command],
        cwd=tmp_path,
        env={**own, "PYTHONPATH": path},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )

    assert "80 passed" in finished.stdout, finished.stdout
    ran = [line.split(maxsplit=1) for line in (tmp_path / "record").read_text().splitlines()]
    assert sorted({(unit, worker) for worker, unit in ran}) == sorted(
        {unit: worker for worker, unit in ran}.items()
    )
    order = ["group", "slow module", "module", "module beside a group"]
    for worker in {worker for worker, _ in ran}:
        units = [order.index(unit) for by, unit in ran if by == worker]
        assert units == sorted(units)
