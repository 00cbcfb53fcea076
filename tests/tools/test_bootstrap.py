"""The environment can be made where a Python lacks ensurepip; else the text says what to install."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tools import bootstrap
from tools.bootstrap import (
    BootstrapError,
    bare,
    fingerprint,
    is_ready,
    make_venv,
    with_ensurepip,
    with_pip_of_this_python,
    works,
)

ROOT = Path(__file__).resolve().parents[2]


def refuses(venv: Path) -> bool:
    """A way that is closed, as ensurepip is on a Debian without python3-venv."""
    return False


@pytest.mark.slow
def test_an_environment_is_made_the_ordinary_way(tmp_path: Path) -> None:
    make_venv(tmp_path / "v", [with_ensurepip])

    assert works(tmp_path / "v")


@pytest.mark.slow
def test_without_ensurepip_the_pip_at_hand_is_used(tmp_path: Path) -> None:
    make_venv(tmp_path / "v", [refuses, with_pip_of_this_python])

    assert works(tmp_path / "v")
    done = subprocess.run(
        [tmp_path / "v" / "bin" / "python", "-m", "pip", "--version"], capture_output=True, text=True
    )
    assert str(tmp_path / "v") in done.stdout


def test_when_no_way_is_open_the_text_names_the_packages_and_nothing_is_left(tmp_path: Path) -> None:
    assert bare(tmp_path / "v")

    with pytest.raises(BootstrapError, match="apt-get install python3-venv"):
        make_venv(tmp_path / "v", [refuses, refuses])

    assert not (tmp_path / "v").exists()


@pytest.mark.slow
def test_an_environment_that_another_checkout_lent_stays_as_it_is(tmp_path: Path) -> None:
    theirs = tmp_path / "theirs"
    theirs.mkdir()
    (theirs / "kept").touch()
    venv = tmp_path / ".venv"
    venv.symlink_to(theirs)

    make_venv(venv)

    assert works(venv)
    assert not venv.is_symlink()
    assert [path.name for path in theirs.iterdir()] == ["kept"]


def test_an_environment_without_pip_does_not_count_as_made(tmp_path: Path) -> None:
    assert bare(tmp_path / "v")

    assert not works(tmp_path / "v")


def test_an_environment_that_was_moved_does_not_count_as_made(tmp_path: Path) -> None:
    assert bare(tmp_path / "v")
    site = next((tmp_path / "v" / "lib").glob("python*/site-packages"))
    (site / "pip").mkdir()
    (site / "pip" / "__init__.py").touch()
    (tmp_path / "v" / "bin" / "pip").write_text(f"#!{tmp_path}/v/bin/python3\n")
    assert works(tmp_path / "v")

    (tmp_path / "v").rename(tmp_path / "elsewhere")

    assert not works(tmp_path / "elsewhere")


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in bootstrap.INPUTS:
        (tmp_path / name).write_text(name)
    (tmp_path / ".venv").mkdir()
    monkeypatch.setattr(bootstrap, "works", lambda venv: True)
    return tmp_path


@pytest.mark.parametrize(
    ("installed", "asked", "ready"),
    [
        pytest.param("demo", "demo", True, id="the-same"),
        pytest.param("test", "demo", True, id="a-larger-one"),
        pytest.param("demo", "test", False, id="a-smaller-one"),
    ],
)
def test_a_stamp_saves_the_second_installation(
    project: Path, installed: str, asked: str, ready: bool
) -> None:
    (project / ".venv" / f"installed-{installed}").write_text(fingerprint(project, installed))

    assert is_ready(project, asked) is ready


@pytest.mark.parametrize("changed", bootstrap.INPUTS)
def test_a_changed_requirement_voids_the_stamp(project: Path, changed: str) -> None:
    (project / ".venv" / "installed-demo").write_text(fingerprint(project, "demo"))

    (project / changed).write_text("another version")

    assert not is_ready(project, "demo")


def test_the_script_says_which_python_it_looked_for(tmp_path: Path) -> None:
    shell = shutil.which("sh")
    assert shell is not None
    environ = {"PATH": os.defpath, "PYTHON": str(tmp_path / "no-such-python")}

    done = subprocess.run(
        [shell, ROOT / "tools" / "bootstrap.sh", "demo"], env=environ, capture_output=True, text=True
    )

    assert done.returncode == 1
    assert "No Python 3.11 or newer found" in done.stderr
    assert "apt-get install python3" in done.stderr


def test_an_unknown_target_is_a_usage_error() -> None:
    done = subprocess.run(
        [sys.executable, ROOT / "tools" / "bootstrap.py", "nonsense"], capture_output=True, text=True
    )

    assert (done.returncode, done.stderr.split()[0]) == (2, "usage:")
