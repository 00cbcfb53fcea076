"""The page about client libraries: each program on it is run as it stands there, and signs somebody in."""

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.examples.pages import PASSWORD, SECONDS, Reader, blocks, commands
from tests.live import peers
from tests.support.servers import ROOT
from tests.support.user_agent import UserAgent

pytestmark = [pytest.mark.live, pytest.mark.slow]

PAGES = ROOT / "docs" / "how-to"
PAGE = PAGES / "any-client-library.md"
PROGRAMS = [
    command
    for block in blocks(PAGE)
    for command in commands(block)
    if command.startswith(("node ", "python "))
]


@pytest.fixture(scope="module")
def reader(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Reader]:
    """Somebody who has followed the page but for the programs, with the libraries installed."""
    folder = tmp_path_factory.mktemp("libraries")
    installed = peers.install(ROOT / "build" / "peers")
    (folder / "node_modules").symlink_to(installed / "node_modules")
    programs = (peers.NODE.parent, Path(sys.executable).parent)
    path = os.pathsep.join([*map(str, programs), os.environ["PATH"]])
    with Reader(folder, {"PATH": path}) as reader:
        reader.follow(PAGES / "flows" / "README.md", only="A provider to try them with")
        for block in blocks(PAGE):
            if not set(commands(block)) & set(PROGRAMS):
                reader.do(block)
        yield reader


def test_there_is_a_program_for_each_library() -> None:
    assert PROGRAMS == ["node shop.mjs", "python shop_authlib.py", "python shop_idpyoidc.py"]


@pytest.mark.row("S-59", "E-01", "E-05", "E-08", "S-01", "S-03")
@pytest.mark.parametrize("command", PROGRAMS)
def test_each_program_signs_somebody_in_and_renews(reader: Reader, command: str) -> None:
    with reader.talking_to(command) as program:
        assert program.stdin is not None
        assert program.stdout is not None
        said = []
        for line in program.stdout:
            said.append(line)
            if line.startswith(reader.url(9000)):
                break
        url = said[-1].strip()
        assert url.startswith(reader.url(9000)), said
        address = UserAgent().answer_address(url, reader.url(8300) + "/callback", "alice", PASSWORD)
        told, _ = program.communicate(f"{address}\n", timeout=SECONDS)
    assert program.returncode == 0, told
    # Between them a library may write what it logs.
    assert {"Alice Liddell <alice@example.com>", "3600 seconds"} <= set(told.splitlines())
