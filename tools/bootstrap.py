"""Makes .venv: the environment that every make target runs in.

Standard library only, since nothing is installed yet. A stamp inside .venv remembers what was
installed; while it holds, a second call costs nothing. pip keeps the machine's own configuration
(index, proxy, certificates): this file passes none. Next door: bootstrap.sh finds the Python.
"""

import hashlib
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

Command = Sequence[str | Path]

ROOT = Path(__file__).resolve().parent.parent

# What `pip install` is told for each use. A later one holds the earlier ones, so that `make test`
# after `make demo` adds packages and `make demo` after `make test` has nothing to do.
TARGETS: dict[str, tuple[str, ...]] = {
    "demo": ("-e", ".[serve,provider,memcached]"),
    "test": ("-e", ".[serve,provider,sql,memcached,redis,ldap]", "-r", "requirements-dev.txt"),
}
INPUTS = (
    "pyproject.toml",
    "constraints.txt",
    "requirements-test.txt",
    "requirements-dev.txt",
)

INSTALL_PIP = """\
{python} has neither ensurepip nor a pip that could build .venv, and this account cannot install packages.
Install one of these, then run the same command again:
  Debian, Ubuntu:  apt-get install python3-venv
  Fedora:          dnf install python3-pip
  Alpine:          apk add py3-pip
"""


class BootstrapError(Exception):
    """The environment cannot be made; the text says what to do."""


def say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def fingerprint(root: Path, target: str) -> str:
    """What an installed target depends on: the interpreter, the place and the requirement files."""
    digest = hashlib.sha256(f"{target}\n{sys.version_info[:2]}\n{root}\n".encode())
    for name in INPUTS:
        digest.update((root / name).read_bytes())
    return digest.hexdigest()


def is_ready(root: Path, target: str) -> bool:
    """True when .venv already has what `target` needs, installed from the present files."""
    names = list(TARGETS)
    for name in names[names.index(target) :]:
        stamp = root / ".venv" / f"installed-{name}"
        if stamp.is_file() and stamp.read_text() == fingerprint(root, name):
            return works(root / ".venv")
    return False


def works(venv: Path) -> bool:
    """True when the environment's Python runs, is of our version, has pip, and lives where it was made.

    A folder whose base Python was upgraded away must be made anew; so must one of another version,
    since `make PYTHON=python3.12 ...` asks for exactly that, and one that was moved: its scripts name
    the place where they were written.
    """
    probe = f"import sys, importlib.util as u; sys.exit(sys.version_info[:2] != {sys.version_info[:2]}"
    probe += " or sys.prefix == sys.base_prefix or not u.find_spec('pip'))"
    try:
        written_for = (venv / "bin" / "pip").read_text()
    except (OSError, UnicodeDecodeError):
        return False
    return f"{venv}/bin/" in written_for and run([venv / "bin" / "python", "-c", probe])


def run(command: Command) -> bool:
    """Runs quietly; False when it fails or does not exist."""
    try:
        done = subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    except OSError:
        return False
    return done.returncode == 0


def as_root() -> list[str] | None:
    """The prefix that makes a command run as root without a question; None when there is none."""
    if os.geteuid() == 0:
        return []
    if shutil.which("sudo") and run(["sudo", "-n", "true"]):
        return ["sudo", "-n"]
    return None


def with_ensurepip(venv: Path) -> bool:
    return run([sys.executable, "-m", "venv", "--clear", venv]) and works(venv)


def with_debian_package(venv: Path) -> bool:
    """Debian keeps ensurepip out of python3; its package is named after the exact version."""
    prefix = as_root()
    if prefix is None or shutil.which("apt-get") is None or not sys.executable.startswith("/usr/bin/"):
        return False
    package = f"python3.{sys.version_info.minor}-venv"
    say(f"Installing the Debian package {package} (this Python comes without ensurepip) ...")
    # sudo drops the environment, so the variable is set behind it.
    apt = [*prefix, "env", "DEBIAN_FRONTEND=noninteractive", "apt-get"]
    install = [*apt, "install", "-y", "-q", "--no-install-recommends", package]
    if not run(install):
        # An image that never fetched its package lists fails at the first try.
        run([*apt, "update", "-q"])
        if not run(install):
            return False
    return with_ensurepip(venv)


def with_pip_of_this_python(venv: Path) -> bool:
    """The pip that stands beside the base Python installs a pip into the bare environment."""
    if not run([sys.executable, "-m", "pip", "--version"]) or not bare(venv):
        return False
    pip: list[str | Path] = [sys.executable, "-m", "pip", "--python", venv / "bin" / "python"]
    return run([*pip, "install", "-c", ROOT / "constraints.txt", "pip"]) and works(venv)


def with_pip_wheel_of_debian(venv: Path) -> bool:
    """python3-pip-whl leaves a pip wheel that runs from the file; a wheel is a zip that Python imports."""
    for wheel in Path("/usr/share/python-wheels").glob("pip-*.whl"):
        if bare(venv):
            command: Command = [venv / "bin" / "python", wheel / "pip", "install", "--no-index", wheel]
            if run(command) and works(venv):
                return True
    return False


def with_virtualenv(venv: Path) -> bool:
    for command in ([sys.executable, "-m", "virtualenv"], ["virtualenv", "-p", sys.executable]):
        if run([*command, "-q", "--clear", venv]) and works(venv):
            return True
    return False


def bare(venv: Path) -> bool:
    return run([sys.executable, "-m", "venv", "--clear", "--without-pip", venv])


# In order: what touches nothing outside the checkout and asks nobody comes first, but for the
# distribution's own package, which is the one sure way on Debian.
WAYS: tuple[Callable[[Path], bool], ...] = (
    with_ensurepip,
    with_debian_package,
    with_pip_wheel_of_debian,
    with_pip_of_this_python,
    with_virtualenv,
)


def make_venv(venv: Path, ways: Sequence[Callable[[Path], bool]] = WAYS) -> None:
    """Makes an environment that has pip, by the first way that works.

    A link to another checkout's environment is taken away first: making one clears the folder it is made in.

    Raises:
        BootstrapError: none did; the text names the packages to install.
    """
    if venv.is_symlink():
        venv.unlink()
    for way in ways:
        if way(venv):
            return
    shutil.rmtree(venv, ignore_errors=True)
    raise BootstrapError(INSTALL_PIP.format(python=sys.executable))


def install(root: Path, target: str) -> None:
    """Installs a target's requirements at the pinned versions; the whole of pip's output goes to a log.

    Raises:
        BootstrapError: pip failed; the text holds the end of its output.
    """
    venv = root / ".venv"
    command: list[str | Path] = [venv / "bin" / "python", "-m", "pip", "install", "--progress-bar", "off"]
    command += ["-c", "constraints.txt", *TARGETS[target]]
    # Isolated builds (ours among them) obey constraints only through the environment. The name of
    # the variable depends on the age of pip; each ignores the one it does not know.
    constraints = str(root / "constraints.txt")
    environ = {**os.environ, "PIP_CONSTRAINT": constraints, "PIP_BUILD_CONSTRAINT": constraints}
    environ |= {"PIP_DISABLE_PIP_VERSION_CHECK": "1", "PIP_NO_INPUT": "1"}
    say(f"Installing what `make {target}` needs into .venv (a minute or two the first time) ...")
    tail: list[str] = []
    counted = 0
    with (venv / "install.log").open("w") as log:
        process = subprocess.Popen(
            command, cwd=root, env=environ, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )
        assert process.stdout is not None  # noqa: S101 - PIPE was asked for
        for line in process.stdout:
            log.write(line)
            tail = [*tail[-14:], line]
            if line.startswith(("Collecting ", "Requirement already satisfied")):
                counted += 1
                if counted % 20 == 0:
                    say(f"  {counted} packages looked up")
            elif line.startswith("Installing collected packages"):
                say("  unpacking")
        process.wait()
    if process.returncode != 0:
        raise BootstrapError(
            "".join(tail) + f"pip could not install; its whole output: {venv / 'install.log'}"
        )


def main(arguments: Sequence[str]) -> int:
    if len(arguments) != 1 or arguments[0] not in TARGETS:
        say(f"usage: tools/bootstrap.sh {'|'.join(TARGETS)}")
        return 2
    (target,) = arguments
    if is_ready(ROOT, target):
        return 0
    venv = ROOT / ".venv"
    try:
        if not works(venv):
            say(f"Making .venv with Python {sys.version.split()[0]} ...")
            make_venv(venv)
        install(ROOT, target)
    except BootstrapError as error:
        say(str(error))
        return 1
    (venv / f"installed-{target}").write_text(fingerprint(ROOT, target))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
