"""Builds the distribution and tests the installed wheel from another folder.

What the checkout hides, this shows: a template or migration that is not packaged, an import that
only works because the repository is the current folder. Next door: verify calls it.
"""

import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

from tools.bootstrap import INPUTS, ROOT, BootstrapError, fingerprint, make_venv, say, works
from tools.memory import in_memory

BUILD = ROOT / "build"
VENV = BUILD / "wheel-venv"
PLACE = BUILD / "wheel-test"

# What the tests read beside the installed packages. Not the packages themselves: that is the point.
COPIED = (
    "tests",
    "tools",
    "examples",
    "conf",
    "docs",
    "Makefile",
    "README.md",
    "CHANGELOG.md",
    "SECURITY.md",
    *INPUTS,
)

# What of the tests could go otherwise here than in the checkout: everything imports, commands start, pages
# render, tables are made, examples and how-to pages work. The rest reads the same code.
TESTED = (
    "tests/test_package.py",
    "tests/architecture/test_public_names.py",
    "tests/examples",
    "tests/flows",
    "tests/oidcgate/cli",
    "tests/oidcgate/web/test_pages.py",
    "tests/provider/cli",
)

# More workers than the two cores they are for: a third of the time, tests wait for servers and browsers.
PYTEST = ("-m", "pytest", "-q", "-n", "3", "--dist", "loadgroup")

WHERE = (
    "import oidcgate, provider, sys;"
    "wrong = [m.__file__ for m in (oidcgate, provider) if 'site-packages' not in m.__file__];"
    "sys.exit(f'not the installed wheel: {wrong}' if wrong else 0)"
)


class Failed(Exception):
    """A step of the wheel test failed; what it printed stands above."""


def run(*command: str | Path, cwd: Path = ROOT) -> None:
    constraints = str(ROOT / "constraints.txt")
    # Both names: which of them an isolated build obeys depends on the age of pip.
    environ = {**os.environ, "PIP_CONSTRAINT": constraints, "PIP_BUILD_CONSTRAINT": constraints}
    if subprocess.run(command, cwd=cwd, env=environ, check=False).returncode != 0:
        raise Failed(" ".join(map(str, command)))


def build() -> Path:
    """The sdist from the checkout and the wheel from that sdist, so that both are complete."""
    out = BUILD / "dist"
    shutil.rmtree(out, ignore_errors=True)
    run(sys.executable, "-m", "build", "--outdir", out, ROOT)
    (wheel,) = out.glob("*.whl")
    return wheel


def install(wheel: Path) -> Path:
    """Puts the wheel and what its tests need into a second environment; returns its Python."""
    python = VENV / "bin" / "python"
    pip = (python, "-m", "pip", "install", "-q", "--disable-pip-version-check", "-c", "constraints.txt")
    stamp = VENV / "installed"
    wanted = fingerprint(ROOT, "test")
    if not (works(VENV) and stamp.is_file() and stamp.read_text() == wanted):
        make_venv(VENV)
        run(*pip, f"{wheel}[serve,provider,sql,memcached,redis,ldap]", "-r", "requirements-test.txt")
        stamp.write_text(wanted)
    # Always anew: the version number stays the same while the code changes.
    run(*pip, "--no-deps", "--force-reinstall", wheel)
    return python


def lay_out() -> None:
    shutil.rmtree(PLACE, ignore_errors=True)
    PLACE.mkdir(parents=True)
    for name in COPIED:
        source = ROOT / name
        if source.is_dir():
            shutil.copytree(
                source, PLACE / name, ignore=shutil.ignore_patterns("__pycache__", "node_modules")
            )
        elif source.is_file():
            shutil.copy2(source, PLACE / name)


def test(report: Path) -> bool:
    """Whether the built wheel installs and the tests of it pass; the run's outcomes go to `report`."""
    report.unlink(missing_ok=True)
    started = time.monotonic()
    say("== wheel")
    try:
        python = install(build())
        lay_out()
        run(python, "-c", WHERE, cwd=PLACE)
        marks = "not slow and not live and not heavy and not checkout and not hypothesis"
        with in_memory() as options:
            run(
                python,
                *PYTEST,
                *options,
                "-m",
                marks,
                f"--rows-report={report}",
                # Needs the peers of npm, which are not there; all of it is live.
                "--ignore=tests/examples/test_how_to_libraries.py",
                *TESTED,
                cwd=PLACE,
            )
    except (Failed, BootstrapError) as error:
        say(f"== wheel: FAILED at: {error}")
        return False
    say(f"== wheel: ok in {time.monotonic() - started:.0f} s")
    return True
