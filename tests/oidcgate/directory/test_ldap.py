"""Users of an LDAP directory: a real slapd, its faults, and answers that no server would give."""

import re
import socket
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, ClassVar

import pytest

from oidcgate.directory.asked import AskedDirectory
from oidcgate.directory.ldap import LdapSource, escaped
from oidcgate.directory.ldap_connection import LdapConnections, LdapServer, Protection
from oidcgate.directory.port import AmbiguousUser, DirectoryUnavailable, KnownUser, UserDirectory
from tests.contracts.user_directory import (
    NOW,
    DirectoryOf,
    UserDirectoryContract,
    UserServer,
    UserServerContract,
)
from tests.support.servers import free_port
from tests.support.slapd import BASE, BIND_DN, BIND_PASSWORD, Slapd, slapd
from tests.support.tls import Authority

#: Nothing that answers takes so long.
PATIENT = 30.0
#: For what never answers.
HASTY = 0.3

ALICE = {"userName": "Alice"}


_made: list[LdapConnections] = []


@pytest.fixture(autouse=True)
def _closed() -> Iterator[None]:
    yield
    while _made:
        _made.pop().close()


def source_of(
    server: Slapd, *, attributes: tuple[str, ...] = (), base: str = BASE, query: str = "", **settings: Any
) -> LdapSource:
    where = {
        "host": "127.0.0.1",
        "port": server.port,
        "protection": Protection.NONE,
        "bind_dn": BIND_DN,
        "bind_password": BIND_PASSWORD,
        "timeout_seconds": PATIENT,
    }
    connections = LdapConnections(LdapServer(**{**where, **settings}))
    _made.append(connections)
    return LdapSource(
        connections, base, query or "(objectClass=inetOrgPerson)", "uid", "displayName", attributes
    )


def names(source: LdapSource, name: str = "alice") -> list[str]:
    return [user.user_name for user in source.users_like(name)]


class TestContract(UserDirectoryContract):
    # Every attribute of LDAP can have several values, and which of them do has to be said by nobody.
    attributes_of_alice: ClassVar[Mapping[str, Any]] = {"title": ("Explorer",), "groups": ("a",)}
    reads_all = False

    @pytest.fixture
    def directory_of(self, tmp_path: Path) -> Iterator[DirectoryOf]:
        with ExitStack() as servers:

            def make(users: Sequence[Mapping[str, Any]]) -> UserDirectory:
                server = servers.enter_context(slapd(tmp_path / "slapd", users))
                return AskedDirectory(source_of(server, attributes=("title", "groups")), "ldap")

            yield make


@pytest.mark.row("F-08")
@pytest.mark.parametrize(
    "name",
    [
        "*",
        "a*",
        "alice*",
        "alice)(uid=*",
        "*)(uid=*))(|(uid=*",
        "alice)(|(objectClass=*)",
        "\\2a",
        "\\",
        "alice\\",
        "alice)\\00(uid=*",
        "(alice)",
        "&",
        "=alice",
        "alice=alice",
        "~=alice",
        "cn=gate,dc=example,dc=com",
        "{name}",
    ],
)
def test_a_name_is_a_name_whatever_a_filter_would_read_in_it(tmp_path: Path, name: str) -> None:
    people = [ALICE, {"userName": "bob"}]
    with slapd(tmp_path / "one", people) as server:
        directory = AskedDirectory(source_of(server), "ldap")
        assert directory.find(name, now=NOW) is None
        assert names(source_of(server), name) == []
    with slapd(tmp_path / "two", [*people, {"userName": name}]) as server:
        assert AskedDirectory(source_of(server), "ldap").find(name, now=NOW) == KnownUser(name)


@pytest.mark.parametrize("name", ["alice\0", "\0", "*\0)(uid=*"])
def test_a_nul_ends_no_filter(name: str) -> None:
    """Nobody has such a name (see the contract); the filter would not be harmed by it."""
    assert set(escaped(name)) <= set("alice\\0123456789abcdefuid")


def test_every_byte_that_could_mean_something_is_escaped() -> None:
    """Spec: RFC 4515 3."""
    plain = re.compile(r"[A-Za-z0-9.@_-]*")
    for code in range(0x250):
        text = escaped(chr(code))
        assert plain.fullmatch(text) or re.fullmatch(r"(\\[0-9a-f]{2})+", text)


SWITCHES = [
    pytest.param({}, True, id="no switch"),
    pytest.param({"userAccountControl": "512"}, True, id="AD-normal"),
    pytest.param({"userAccountControl": "514"}, False, id="AD-disabled"),
    pytest.param({"userAccountControl": "66048"}, True, id="AD-no-expiry"),
    pytest.param({"userAccountControl": "-2147483134"}, False, id="AD-negative-disabled"),
    pytest.param({"userAccountControl": "0x200"}, False, id="AD-no-number"),
    pytest.param({"nsAccountLock": "true"}, False, id="389-locked"),
    pytest.param({"nsAccountLock": "FALSE"}, True, id="389-unlocked"),
    pytest.param({"loginDisabled": "TRUE"}, False, id="eDirectory-disabled"),
    pytest.param({"loginDisabled": "FALSE"}, True, id="eDirectory-enabled"),
    pytest.param({"loginDisabled": "perhaps"}, False, id="no-boolean"),
    pytest.param({"pwdAccountLockedTime": "000001010000Z"}, False, id="ppolicy-for-good"),
    pytest.param({"pwdAccountLockedTime": "20260101120000Z"}, True, id="ppolicy-guesses"),
]


@pytest.mark.row("F-08")
def test_who_is_switched_off_is_inactive(tmp_path: Path) -> None:
    cases = {f"user{number}": case.values for number, case in enumerate(SWITCHES)}
    people = [{"userName": name, **attributes} for name, (attributes, _) in cases.items()]
    with slapd(tmp_path / "slapd", people) as server:
        source = source_of(server)
        found = {name: source.users_like(name)[0].active for name in cases}
    assert found == {name: active for name, (_, active) in cases.items()}


class TestTransport:
    """What keeps question, answer and password from others."""

    @pytest.fixture
    def authority(self, tmp_path: Path) -> Authority:
        return Authority.create(tmp_path / "authority")

    @pytest.mark.parametrize("protection", [Protection.LDAPS, Protection.START_TLS])
    def test_over_tls(self, tmp_path: Path, authority: Authority, protection: Protection) -> None:
        certificate = authority.issue("localhost", "127.0.0.1")
        with slapd(tmp_path / "slapd", [ALICE], certificate=certificate) as server:
            port = server.tls_port if protection is Protection.LDAPS else server.port
            for host in ("127.0.0.1", "localhost"):
                source = source_of(
                    server, host=host, port=port, protection=protection, ca_file=authority.certificate
                )
                assert names(source) == ["Alice"]

    @pytest.mark.parametrize("protection", [Protection.LDAPS, Protection.START_TLS])
    @pytest.mark.parametrize(
        ("name", "trusted", "message"),
        [
            ("localhost", False, "unable to get local issuer certificate"),
            ("other.example", True, "not valid for"),
        ],
        ids=["unknown-authority", "other-name"],
    )
    def test_a_certificate_that_does_not_hold_ends_it_before_the_password_is_said(
        self,
        tmp_path: Path,
        authority: Authority,
        protection: Protection,
        name: str,
        trusted: bool,
        message: str,
    ) -> None:
        with slapd(tmp_path / "slapd", [ALICE], certificate=authority.issue(name)) as server:
            source = source_of(
                server,
                port=server.tls_port if protection is Protection.LDAPS else server.port,
                protection=protection,
                ca_file=authority.certificate if trusted else None,
            )
            with pytest.raises(DirectoryUnavailable, match=message):
                source.users_like("alice")

    def test_a_server_that_refuses_starttls_is_told_nothing_else(self, tmp_path: Path) -> None:
        with (
            slapd(tmp_path / "slapd", [ALICE]) as server,
            pytest.raises(DirectoryUnavailable, match="refuses StartTLS") as raised,
        ):
            source_of(server, protection=Protection.START_TLS).users_like("alice")
        assert raised.value.answered


class TestRefusals:
    """What a server that answers says no to; each names the setting."""

    def test_a_wrong_password(self, tmp_path: Path) -> None:
        with (
            slapd(tmp_path / "slapd", [ALICE]) as server,
            pytest.raises(DirectoryUnavailable, match=r"users\.ldap\.bind_dn .invalidCredentials") as raised,
        ):
            source_of(server, bind_password="not-this-one").users_like("alice")
        assert raised.value.answered
        assert "not-this-one" not in str(raised.value)

    def test_nobody_in_particular_where_only_the_gate_may_read(self, tmp_path: Path) -> None:
        with (
            slapd(tmp_path / "slapd", [ALICE]) as server,
            pytest.raises(DirectoryUnavailable, match="refuses the search"),
        ):
            source_of(server, bind_dn=None, bind_password=None).users_like("alice")

    def test_nobody_in_particular_where_all_may_read(self, tmp_path: Path) -> None:
        with slapd(tmp_path / "slapd", [ALICE], anonymous=True) as server:
            assert names(source_of(server, bind_dn=None, bind_password=None)) == ["Alice"]

    def test_a_base_that_is_not_there(self, tmp_path: Path) -> None:
        with slapd(tmp_path / "slapd", [ALICE]) as server:
            source = source_of(server, base=f"ou=people,{BASE}")
            for ask in (lambda: source.users_like("alice"), source.problems):
                with pytest.raises(DirectoryUnavailable, match="noSuchObject"):
                    ask()

    def test_a_filter_that_is_none(self, tmp_path: Path) -> None:
        with (
            slapd(tmp_path / "slapd", [ALICE]) as server,
            pytest.raises(DirectoryUnavailable, match="LDAPInvalidFilter"),
        ):
            source_of(server, query="(objectClass)").users_like("alice")

    def test_a_filter_that_is_true_of_nobody_is_a_problem(self, tmp_path: Path) -> None:
        with slapd(tmp_path / "slapd", [ALICE]) as server:
            (problem,) = source_of(server, query="(objectClass=user)").problems()
            assert problem.key == "users.ldap.filter"
            assert source_of(server).problems() == []

    @pytest.mark.row("F-10")
    def test_many_of_one_name_are_as_ambiguous_as_two(self, tmp_path: Path) -> None:
        with slapd(tmp_path / "slapd", [ALICE] * 30) as server, pytest.raises(AmbiguousUser):
            AskedDirectory(source_of(server), "ldap").find("alice", now=NOW)

    def test_many_that_only_the_server_takes_for_equal_do_not_hide_the_one(self, tmp_path: Path) -> None:
        people = [{"userName": f"a{' ' * number}b"} for number in range(1, 15)]
        with (
            slapd(tmp_path / "slapd", people) as server,
            pytest.raises(DirectoryUnavailable, match=r"narrow users\.ldap\.filter"),
        ):
            AskedDirectory(source_of(server), "ldap").find("a b", now=NOW)

    def test_an_entry_that_is_too_large_is_not_read_to_its_end(self, tmp_path: Path) -> None:
        with slapd(tmp_path / "slapd", [{**ALICE, "jpegPhoto": b"\xff" * 3_000_000}]) as server:
            assert names(source_of(server)) == ["Alice"]
            with pytest.raises(DirectoryUnavailable, match="more than 1048576 bytes"):
                source_of(server, attributes=("jpegPhoto",)).users_like("alice")

    def test_values_that_are_no_text_are_nobodys_name(self, tmp_path: Path) -> None:
        people = [{**ALICE, "jpegPhoto": b"\xff\xfe", "displayName": "A"}]
        with slapd(tmp_path / "slapd", people) as server:
            (user,) = source_of(server, attributes=("jpegPhoto", "title")).users_like("alice")
            assert dict(user.attributes) == {}

    def test_of_several_names_of_an_entry_the_one_that_was_asked_for_counts(self, tmp_path: Path) -> None:
        with slapd(tmp_path / "slapd", [{"userName": ["asmith", "Alice"]}]) as server:
            directory = AskedDirectory(source_of(server), "ldap")
            for name, expected in (("alice", "Alice"), ("ASMITH", "asmith")):
                user = directory.find(name, now=NOW)
                assert user is not None
                assert user.user_name == expected


class TestServer(UserServerContract):
    @pytest.fixture
    def served(self, tmp_path: Path) -> Iterator[tuple[UserServer, UserDirectory]]:
        with slapd(tmp_path / "slapd", [ALICE, {"userName": "bob"}]) as server:
            yield server, AskedDirectory(source_of(server, timeout_seconds=1), "ldap")


def test_where_nobody_listens() -> None:
    at = f"127.0.0.1:{free_port()}"
    connections = LdapConnections(LdapServer("127.0.0.1", int(at.rpartition(":")[2]), Protection.NONE))
    _made.append(connections)
    with pytest.raises(DirectoryUnavailable) as raised:
        LdapSource(connections, BASE, "(a=b)", "uid", "displayName").users_like("alice")
    told = (
        f"{at}: cannot be reached (no connection: Connection refused); check users.ldap.url, and that it runs"
    )
    assert str(raised.value) == told


class TestOutage:
    """A server that is frozen, killed, started anew."""

    def test_frozen(self, tmp_path: Path) -> None:
        with slapd(tmp_path / "slapd", [ALICE]) as server:
            source = source_of(server, timeout_seconds=HASTY)
            patient = source_of(server)
            assert names(patient) == ["Alice"]
            server.freeze()
            for _ in range(2):
                with pytest.raises(DirectoryUnavailable, match="did not answer within") as raised:
                    source.users_like("alice")
                assert not raised.value.answered
            server.thaw()
            assert names(patient) == ["Alice"]

    def test_a_kept_connection_that_hangs_is_not_used_again(self, tmp_path: Path) -> None:
        with slapd(tmp_path / "slapd", [ALICE]) as server:
            source = source_of(server, timeout_seconds=HASTY)
            for _ in range(1000):  # the first may take long on a busy machine
                try:
                    assert names(source) == ["Alice"]
                    break
                except DirectoryUnavailable:
                    continue
            assert len(source.connections._idle) == 1
            server.freeze()
            with pytest.raises(DirectoryUnavailable):
                source.users_like("alice")
            assert source.connections._idle == []
            server.thaw()

    def test_killed_and_started_anew(self, tmp_path: Path) -> None:
        with slapd(tmp_path / "slapd", [ALICE]) as server:
            source = source_of(server)
            assert names(source) == ["Alice"]
            server.kill()
            for _ in range(2):
                with pytest.raises(DirectoryUnavailable, match="cannot be reached"):
                    source.users_like("alice")
            server.start()
            assert names(source) == ["Alice"]

    def test_started_anew_between_two_questions_nobody_notices(self, tmp_path: Path) -> None:
        with slapd(tmp_path / "slapd", [ALICE]) as server:
            source = source_of(server)
            assert names(source) == ["Alice"]
            server.kill()
            server.start()
            assert names(source) == ["Alice"]


class TestKeptConnections:
    def test_one_is_used_again_and_an_old_one_is_not(self, tmp_path: Path) -> None:
        now = [1000.0]
        with slapd(tmp_path / "slapd", [ALICE]) as server:
            source = source_of(server)
            connections = LdapConnections(source.connections._server, clock=lambda: now[0])
            _made.append(connections)
            ask = lambda: connections.search(BASE, "(uid=alice)", ("uid",), most=2)  # noqa: E731
            ask()
            ((_, first),) = connections._idle
            now[0] += 60
            ask()
            assert connections._idle == [(1060.0, first)]
            now[0] += 61
            ask()
            ((_, second),) = connections._idle
            assert second is not first
            assert first.socket is None

    def test_threads_ask_at_once_and_only_some_connections_are_kept(self, tmp_path: Path) -> None:
        people = [{"userName": f"user{number}"} for number in range(16)]
        with slapd(tmp_path / "slapd", people) as server:
            source = source_of(server)
            ready = threading.Barrier(16)
            wrong: list[object] = []

            def ask(number: int) -> None:
                ready.wait()
                for _ in range(10):
                    found = names(source, f"user{number}")
                    if found != [f"user{number}"]:
                        wrong.append(found)

            threads = [threading.Thread(target=ask, args=(number,)) for number in range(16)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            assert wrong == []
            assert 1 <= len(source.connections._idle) <= 4

    def test_a_child_leaves_its_parents_connections_alone(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        with slapd(tmp_path / "slapd", [ALICE]) as server:
            source = source_of(server)
            assert names(source) == ["Alice"]
            ((_, parents),) = source.connections._idle
            with monkeypatch.context() as child:
                child.setattr("oidcgate.directory.ldap_connection.os.getpid", lambda: -1)
                assert names(source) == ["Alice"]
                ((_, own),) = source.connections._idle
            assert own is not parents
            assert parents.socket is not None
            parents.strategy.close()

    def test_nothing_shows_the_password(self, tmp_path: Path) -> None:
        with slapd(tmp_path / "slapd", [ALICE]) as server:
            source = source_of(server)
            assert BIND_PASSWORD not in repr(source) + repr(source.connections._server)


@contextmanager
def answering(script: Callable[[socket.socket], None]) -> Iterator[int]:
    """A server that lets `script` answer each connection; returns its port."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        over = threading.Event()

        def serve() -> None:
            while not over.is_set():
                try:
                    connection, _ = listener.accept()
                except OSError:
                    return
                with connection:
                    connection.settimeout(PATIENT)
                    try:
                        connection.recv(4096)
                        script(connection)
                    except OSError:
                        continue

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        try:
            yield listener.getsockname()[1]
        finally:
            over.set()
            listener.shutdown(socket.SHUT_RDWR)
            thread.join(PATIENT)


def ask(port: int, seconds: float = PATIENT) -> None:
    server = LdapServer("127.0.0.1", port, Protection.NONE, None, BIND_DN, BIND_PASSWORD, seconds)
    LdapConnections(server).search(BASE, "(uid=alice)", ("uid",), most=2)


NONSENSE = [
    pytest.param(b"HTTP/1.1 400 Bad Request\r\n\r\n", id="http"),
    pytest.param(b"\x00" * 64, id="zeros"),
    pytest.param(b"\x30\x03\x02\x01\x01", id="no-operation"),
    pytest.param(b"\x30\x0c\x02\x01\x63\x61\x07\x0a\x01\x00\x04\x00\x04\x00", id="other-message"),
    pytest.param(b"\x30\x0c\x02\x01\x01\x61\x07\x04\x01\x00\x04\x00\x04\x00", id="no-result-code"),
    pytest.param(b"\x30\x0c\x02\x01\x01\x7f\x07\x0a\x01\x00\x04\x00\x04\x00", id="unknown-operation"),
    pytest.param(b"\x30\x84\xff\xff\xff\xff\x02\x01\x01", id="four-gigabytes-promised"),
    pytest.param(b"\x30\x80\x02\x01\x01\x00\x00", id="indefinite-length"),
    pytest.param(b"", id="nothing"),
]


@pytest.mark.parametrize("answer", NONSENSE)
def test_an_answer_that_is_none_lets_nobody_in(answer: bytes) -> None:
    with (
        answering(lambda connection: connection.sendall(answer)) as port,
        pytest.raises(DirectoryUnavailable),
    ):
        ask(port)


def test_an_answer_that_comes_byte_by_byte_for_ever_is_waited_for_once() -> None:
    over = threading.Event()

    def drip(connection: socket.socket) -> None:
        connection.sendall(b"\x30\x84\x00\x0f\xff\xff")
        while not over.wait(0.02):
            connection.sendall(b"\x00")

    try:
        with answering(drip) as port, pytest.raises(DirectoryUnavailable, match="did not answer within"):
            ask(port, HASTY)
    finally:
        over.set()


def test_an_answer_without_an_end_is_cut_off() -> None:
    def pour(connection: socket.socket) -> None:
        connection.sendall(b"\x30\x84\x7f\xff\xff\xff")
        while True:
            connection.sendall(b"\x00" * 65_536)

    with answering(pour) as port, pytest.raises(DirectoryUnavailable, match="more than 1048576 bytes"):
        ask(port)
