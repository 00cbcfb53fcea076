"""`--dist loadgroup`, with which `tools.verify` runs the tests, keeps those of one group in one worker."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tools.bootstrap import ROOT

SUITE = """
import os
from pathlib import Path
import pytest

@pytest.mark.xdist_group("servers")
@pytest.mark.parametrize("number", range(20))
def test_of_a_group(number):
    with Path("workers").open("a") as seen:
        seen.write(os.environ["PYTEST_XDIST_WORKER"] + "\\n")

@pytest.mark.parametrize("number", range(20))
def test_of_none(number):
    pass
"""


@pytest.mark.slow
@pytest.mark.row("P-39")
def test_a_group_runs_in_one_worker(tmp_path: Path) -> None:
    (tmp_path / "conftest.py").write_text("from tests.conftest import pytest_collection_modifyitems\n")
    (tmp_path / "test_groups.py").write_text(SUITE)
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

    assert "40 passed" in finished.stdout, finished.stdout
    assert len(set((tmp_path / "workers").read_text().split())) == 1
