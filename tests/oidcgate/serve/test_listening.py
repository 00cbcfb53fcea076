"""Addresses that cannot be had, each told with its setting, what is in the way, and what to do."""

import os
import socket
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from oidcgate.serve.listening import Address, metrics_socket, taken
from oidcgate.settings import SettingsError

KEY = "serve.bind"


def told(address: Address) -> str:
    return "\n".join(map(str, taken(KEY, [address])))


@pytest.fixture
def used() -> Iterator[int]:
    """A port at which somebody listens."""
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        yield other.getsockname()[1]


@pytest.fixture
def folder() -> Iterator[Path]:
    # Names of Unix sockets have a limit of a hundred characters or so.
    with TemporaryDirectory(prefix="s-", dir="/tmp") as name:
        yield Path(name)


def test_what_is_free_stays_free() -> None:
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        port = held.getsockname()[1]
    address = ("127.0.0.1", port)
    assert list(taken(KEY, [address, address])) == []
    with socket.socket() as mine:
        mine.bind(address)


def test_a_port_of_another_program(used: int) -> None:
    assert told(("127.0.0.1", used)) == (
        f"serve.bind: '127.0.0.1:{used}' is in use by another program; end that one "
        f"(`ss -ltnp 'sport = :{used}'` names it), or choose another port"
    )
    assert "is in use by another program" in told(("0.0.0.0", used))  # noqa: S104 (refused)


def test_an_address_of_another_machine() -> None:
    assert told(("192.0.2.1", 8080)).startswith(
        "serve.bind: '192.0.2.1:8080' is no address of this machine; use"
    )
    assert "'[2001:db8::1]:8080' is no address of this machine" in told(("2001:db8::1", 8080))


def test_a_host_that_nobody_knows() -> None:
    assert "'nowhere.invalid:8080' names no host that is known here" in told(("nowhere.invalid", 8080))


def test_a_port_for_root(monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(self: socket.socket, address: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(socket.socket, "bind", refused)
    assert told(("127.0.0.1", 443)) == (
        "serve.bind: '127.0.0.1:443' may not be used: ports below 1024 are for root; choose a higher one "
        "with a proxy in front, or grant CAP_NET_BIND_SERVICE"
    )
    assert "cannot be used: Permission denied" in told(("127.0.0.1", 8443))


class TestUnixSocket:
    def test_one_that_is_used(self, folder: Path) -> None:
        path = str(folder / "s")
        with socket.socket(socket.AF_UNIX) as other:
            other.bind(path)
            other.listen()
            assert told(path).startswith(f"serve.bind: 'unix:{path}' is in use by another program; end")
            assert os.path.exists(path)

    def test_one_that_was_left_behind(self, folder: Path) -> None:
        path = str(folder / "s")
        with socket.socket(socket.AF_UNIX) as before:
            before.bind(path)
        assert os.path.exists(path)
        assert told(path) == ""

    def test_one_that_is_to_be_made(self, folder: Path) -> None:
        assert told(str(folder / "s")) == ""
        assert list(folder.iterdir()) == []

    def test_a_file(self, folder: Path) -> None:
        (folder / "s").write_text("mine")
        assert "is a file that is no socket" in told(str(folder / "s"))
        assert (folder / "s").read_text() == "mine"

    def test_a_folder_that_is_not_there(self, folder: Path) -> None:
        assert f"is in {folder}/none, which is no folder; make it" in told(f"{folder}/none/s")

    def test_a_name_that_is_too_long(self, folder: Path) -> None:
        assert "cannot be made: " in told(f"{folder}/{'s' * 120}")


def test_metrics_listen_or_say_why(used: int) -> None:
    assert metrics_socket("") is None
    made = metrics_socket("127.0.0.1:0")
    assert made is not None
    with made, socket.create_connection(made.getsockname(), timeout=10):
        assert not made.getblocking()
    with pytest.raises(SettingsError) as refused:
        metrics_socket(f"127.0.0.1:{used}")
    assert str(refused.value).startswith(
        f"serve.metrics_bind: '127.0.0.1:{used}' is in use by another program"
    )
