"""Follows a how-to page to the letter, in a folder of its own: its files are written, its commands are run.

What a page has to keep to: a command stands behind `$ ` in a `console` block; a file's block begins with a
comment that is its name, or `at the end of` and its name; every other block is only to be read. What is not
done to the letter: ports are exchanged for free ones, and nothing is installed. Passwords and secrets that a
command waits for are typed in as a person would.
"""

import os
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from tests.support.servers import ROOT, free_port, running

SECONDS = 120
PASSWORD = "correct horse battery"
_BLOCK = re.compile(r"^( *)```(\w+)\n(.*?)^\1```$", re.MULTILINE | re.DOTALL)
_FILE = re.compile(r"(?:#|//) (at the end of )?([a-z_.]+\.[a-z]+)\n")
_PORT = re.compile(r"(?<=(?:localhost|127\.0\.0\.1):)([0-9]{4})\b|(?<=--port )([0-9]{4})\b")
_INSTALLING = ("pip install ", "npm install ")
# Commands that a person leaves running, and the port by which one sees that they do.
_SERVERS = {
    "oidcgate-provider serve": "9000",
    "oidcgate serve": "8080",
    "python -m examples.legacy": "8081",
    "gunicorn -c": "8080",
    "gunicorn": None,
    "uvicorn": "8000",
}


@dataclass(frozen=True)
class Block:
    """One block of a page; `about` is what stands in front of it."""

    language: str
    text: str
    about: str


def blocks(page: Path) -> Iterator[Block]:
    """The fenced blocks of a page, in order, without the indentation of a list."""
    text, behind = page.read_text(), 0
    for match in _BLOCK.finditer(text):
        indent, language, body = match.groups()
        lines = [line.removeprefix(indent) for line in body.splitlines()]
        yield Block(language, "\n".join(lines) + "\n", text[behind : match.start()])
        behind = match.end()


def commands(block: Block) -> list[str]:
    """The commands of a console block; continued lines are one command, comments are not run."""
    text = block.text.replace("\\\n", " ")
    found = [line[2:] for line in text.splitlines() if line.startswith("$ ")]
    return [re.sub(r" +# .*$", "", command).strip() for command in found]


@dataclass
class Reader:
    """Somebody who follows pages.

    Attributes:
        folder: where they do.
        ports: the port of a page, and the one that is taken in its place.
        said: what the last command said.
        logs: what each command says that was left running.
    """

    folder: Path
    env: Mapping[str, str] = field(default_factory=dict)
    ports: dict[str, str] = field(default_factory=dict)
    said: str = ""
    logs: dict[str, Path] = field(default_factory=dict)
    servers: ExitStack = field(default_factory=ExitStack)

    def __enter__(self) -> "Reader":
        return self

    def __exit__(self, *error: object) -> None:
        self.servers.close()

    def url(self, port: int) -> str:
        """What `http://localhost:PORT` of the page is here."""
        return self._here(f"http://localhost:{port}")

    def follow(self, page: Path, *, only: str = "", until: str = "") -> None:
        """Do what a page says.

        Args:
            only: up to and with the block behind a paragraph that has these words.
            until: up to the first block behind a paragraph that has these words.
        """
        for block in blocks(page):
            if until and until in block.about:
                return
            self.do(block)
            if only and only in block.about:
                return

    def do(self, block: Block) -> None:
        """Write the file, or run the commands, of one block."""
        if block.language == "console":
            for command in commands(block):
                self._run(self._here(command))
        elif named := _FILE.match(block.text):
            appended, name = named.groups()
            with (self.folder / name).open("a" if appended else "x") as file:
                file.write(self._here(block.text))

    @contextmanager
    def talking_to(self, command: str) -> "Iterator[subprocess.Popen[str]]":
        """Start a program that is asked and answered through its pipes; it is ended with the block."""
        process = subprocess.Popen(
            ["bash", "-c", f"exec {command}"],
            cwd=self.folder,
            env=self._environment(),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        with process:
            try:
                yield process
            finally:
                process.kill()

    def _here(self, text: str) -> str:
        def exchanged(match: "re.Match[str]") -> str:
            return self.ports.setdefault(match[0], str(free_port()))

        return _PORT.sub(exchanged, text)

    def _environment(self) -> dict[str, str]:
        programs = str(Path(sys.executable).parent)
        inherited = {
            name: value for name, value in os.environ.items() if not name.startswith(("OIDC", "GUNICORN_"))
        }
        path = os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")]).rstrip(os.pathsep)
        search = os.pathsep.join([programs, os.environ["PATH"]])
        return {**inherited, "PATH": search, "PYTHONPATH": path, **self.env}

    def _run(self, command: str) -> None:
        if command.startswith(_INSTALLING):
            return
        for server, port in _SERVERS.items():
            if command.startswith(server) and "--check" not in command:
                self._start(command, port or re.findall(r"--bind \S+:([0-9]+)", command)[0])
                return
        done = subprocess.run(
            ["bash", "-c", command],
            cwd=self.folder,
            env=self._environment(),
            input=self._typed(command),
            capture_output=True,
            text=True,
            timeout=SECONDS,
            # Without a terminal, questions are asked on standard error and answered on standard input.
            start_new_session=True,
        )
        assert done.returncode == 0, f"$ {command}\n{done.stdout}{done.stderr}"
        self.said = done.stdout

    def _start(self, command: str, port: str) -> None:
        log = self.folder / f"{len(self.ports)}-{command.split()[0]}-{port}.log"
        shell = ["bash", "-c", f"exec {command}"]
        listening = int(self.ports.get(port, port))
        server = running(shell, port=listening, log=log, cwd=self.folder, env=self._environment())
        self.servers.enter_context(server)
        self.logs[command] = log

    def _typed(self, command: str) -> str:
        if "cat > client.secret" in command:
            (secret,) = re.findall(r"client_secret: (\S+)", self.said)
            return f"{secret}\n"
        return f"{PASSWORD}\n{PASSWORD}\n" if "user add" in command else ""
