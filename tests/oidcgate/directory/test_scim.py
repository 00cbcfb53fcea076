"""Users of a SCIM server: one that nobody here wrote, and answers that only a fake gives."""

import gzip
import json
import socket
import threading
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar
from urllib.parse import parse_qs, urlsplit

import pytest
import requests_mock

from oidcgate.directory.asked import AskedDirectory
from oidcgate.directory.port import AmbiguousUser, DirectoryUnavailable, KnownUser, LookAlike, UserDirectory
from oidcgate.directory.scim import ScimUsers
from oidcgate.net.fetch import AddressRules, Fetcher
from oidcgate.settings import Secret
from tests.contracts.user_directory import (
    ALICE,
    INJECTIONS,
    NOW,
    DirectoryOf,
    UserDirectoryContract,
    UserServer,
    UserServerContract,
)
from tests.support.scim import TOKEN, ScimServer, scim_server

LONG = 30.0
RULES = AddressRules(trusted_hosts=frozenset({"people.test"}), insecure_allow_http_loopback=True)


def directory_at(base_url: str, *, token: str = TOKEN, seconds: float = LONG, **more: Any) -> AskedDirectory:
    fetcher = Fetcher(RULES, total_seconds=seconds, **more)
    return AskedDirectory(ScimUsers(base_url, Secret(token), fetcher), "people")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ScimServer]:
    with scim_server(tmp_path_factory.mktemp("scim")) as server:
        yield server


@pytest.mark.live
class TestRealServer(UserDirectoryContract):
    attributes_of_alice: ClassVar[Mapping[str, Any]] = {}
    reads_all = False
    tells_look_alikes_apart = True

    @pytest.fixture
    def directory_of(self, server: ScimServer) -> DirectoryOf:
        def make(users: Sequence[Mapping[str, Any]]) -> UserDirectory:
            return directory_at(server.tenant(users))

        return make

    @pytest.mark.parametrize("name", ["4711", "a1b2"])
    def test_another_attribute_of_that_value_is_nobody(self, directory_of: DirectoryOf, name: str) -> None:
        user = {**ALICE, "externalId": "4711", "nickName": "a1b2", "displayName": "a1b2"}
        directory = directory_of([user])
        assert directory.find(name, now=NOW) is None
        assert directory.find("alice", now=NOW) is not None

    def test_a_token_that_is_not_accepted_is_a_matter_of_settings(self, server: ScimServer) -> None:
        directory = directory_at(server.tenant([ALICE]), token="another")
        with pytest.raises(DirectoryUnavailable, match=r"users\.scim\.bearer_token") as unavailable:
            directory.find("alice", now=NOW)
        assert unavailable.value.answered
        assert "another" not in str(unavailable.value)

    def test_an_address_that_is_none_is_a_matter_of_settings(self, server: ScimServer) -> None:
        directory = directory_at(server.tenant([ALICE]) + "/people")
        with pytest.raises(DirectoryUnavailable, match=r"users\.scim\.base_url") as unavailable:
            directory.problems()
        assert unavailable.value.answered


@pytest.mark.live
class TestFaults(UserServerContract):
    @pytest.fixture
    def served(self, tmp_path: Path) -> Iterator[tuple[UserServer, UserDirectory]]:
        with scim_server(tmp_path) as server:
            base_url = server.tenant([{"userName": "Alice"}, {"userName": "bob"}])
            yield server, directory_at(base_url, seconds=1)


BASE = "https://people.test/scim/v2"
ALICE_RESOURCE = {"id": "1", "userName": "Alice", "active": True, "displayName": "Alice Liddell"}


def answer(*resources: object, total: object = None, **more: object) -> str:
    """A ListResponse."""
    members: dict[str, object] = {
        "schemas": ["urn:ietf:params:scim:api:messages:2.0:ListResponse"],
        "totalResults": len(resources) if total is None else total,
        "Resources": list(resources),
        **more,
    }
    return json.dumps({name: value for name, value in members.items() if value != "absent"})


@pytest.fixture
def people() -> tuple[requests_mock.Adapter, AskedDirectory]:
    """What the server says, and a directory that asks it."""
    adapter = requests_mock.Adapter()
    return adapter, directory_at(BASE, adapter=adapter)


@pytest.mark.parametrize("name", [*INJECTIONS, "José", "a b", "a+b", "a=b&c", "山田"])
def test_a_name_is_one_string_of_the_filter(
    people: tuple[requests_mock.Adapter, AskedDirectory], name: str
) -> None:
    adapter, directory = people
    adapter.register_uri("GET", f"{BASE}/Users", text=answer())
    assert directory.find(name, now=NOW) is None
    assert adapter.last_request is not None
    url = urlsplit(adapter.last_request.url)
    query = parse_qs(url.query, strict_parsing=True)
    assert url.path == "/scim/v2/Users"
    assert set(query) == {"filter", "attributes", "count"}
    (asked,) = query["filter"]
    attribute, operator, value = asked.split(" ", 2)
    assert (attribute, operator, json.loads(value)) == ("userName", "eq", name)
    assert adapter.last_request.headers["Authorization"] == f"Bearer {TOKEN}"


FOUND = [
    pytest.param(answer(ALICE_RESOURCE), KnownUser("Alice", True, "Alice Liddell"), id="alice"),
    pytest.param(answer({"userName": "alice"}), KnownUser("alice"), id="name alone"),
    pytest.param(answer({"userName": "alice", "displayName": None}), KnownUser("alice"), id="null name"),
    pytest.param(answer({"userName": "a", "active": False}), None, id="somebody else, inactive"),
    pytest.param(answer({"userName": "alice", "active": False}), KnownUser("alice", False), id="inactive"),
    pytest.param(answer(total=0, Resources="absent"), None, id="no resources"),
    pytest.param(answer({"userName": "bob"}), None, id="somebody else"),
    pytest.param(answer({"userName": "álice"}), None, id="collation without accents"),
    pytest.param(answer({"userName": "alice2"}), None, id="begins so"),
    pytest.param(answer({"userName": "bob", "externalId": "alice"}), None, id="another attribute"),
    pytest.param(answer({"userName": "bob"}, ALICE_RESOURCE), KnownUser("Alice", True, "Alice Liddell"),
                 id="somebody else too"),
]  # fmt: skip


@pytest.mark.row("F-08")
@pytest.mark.parametrize(("text", "user"), FOUND)
def test_whoever_the_server_gives_has_to_have_that_name(
    people: tuple[requests_mock.Adapter, AskedDirectory], text: str, user: KnownUser | None
) -> None:
    adapter, directory = people
    adapter.register_uri("GET", f"{BASE}/Users", text=text)
    assert directory.find("alice", now=NOW) == user


@pytest.mark.row("G-15")
def test_a_look_alike_that_the_server_gives_is_told_as_one(
    people: tuple[requests_mock.Adapter, AskedDirectory],
) -> None:
    adapter, directory = people
    adapter.register_uri("GET", f"{BASE}/Users", text=answer({"userName": "ａlice"}))
    with pytest.raises(LookAlike):
        directory.find("alice", now=NOW)


#: An entry with which nobody is let in, and what the log says.
MALFORMED = [
    pytest.param({"userName": "alice", "active": "false"}, "is not a boolean", id="active as text"),
    pytest.param({"userName": "alice", "active": 1}, "is not a boolean", id="active as number"),
    pytest.param({"userName": "alice", "active": None}, "is not a boolean", id="active null"),
    pytest.param({"userName": ["alice"]}, "is not a string", id="list of names"),
    pytest.param({"username": "alice"}, "has no userName", id="mistyped"),
    pytest.param({"displayName": "alice"}, "has no userName", id="no name"),
    pytest.param({"userName": "alice", "displayName": {}}, "is not a string", id="displayName"),
    pytest.param({"userName": "alice\u200b"}, "invisible character", id="invisible"),
    pytest.param({"userName": "a" * 151}, "longer than", id="long"),
    pytest.param("alice", "is not a user", id="text"),
    pytest.param(None, "is not a user", id="null"),
]


@pytest.mark.parametrize(("entry", "told"), MALFORMED)
def test_a_malformed_user_is_nobody_and_is_told(
    people: tuple[requests_mock.Adapter, AskedDirectory],
    entry: object,
    told: str,
    caplog: pytest.LogCaptureFixture,
) -> None:
    adapter, directory = people
    adapter.register_uri("GET", f"{BASE}/Users", text=answer(entry))
    assert directory.find("alice", now=NOW) is None
    assert told in caplog.text


@pytest.mark.row("F-10")
@pytest.mark.parametrize("second", ["alice", "Alice", "ALICE", "ａlice"])
def test_two_of_one_name_are_neither(
    people: tuple[requests_mock.Adapter, AskedDirectory], second: str
) -> None:
    adapter, directory = people
    adapter.register_uri("GET", f"{BASE}/Users", text=answer(ALICE_RESOURCE, {"userName": second}))
    with pytest.raises(AmbiguousUser):
        directory.find("alice", now=NOW)


#: Answers that say nothing: what is answered with, and whether it is a matter of settings.
UNUSABLE = [
    pytest.param({"text": answer(ALICE_RESOURCE, total=5000)}, "filter is not obeyed", True, id="all users"),
    pytest.param({"text": answer(total=1)}, "filter is not obeyed", True, id="page of none"),
    pytest.param({"text": answer(ALICE_RESOURCE, total="1")}, "no ListResponse", True, id="total text"),
    pytest.param({"text": answer(ALICE_RESOURCE, total=True)}, "no ListResponse", True, id="total true"),
    pytest.param({"text": answer(totalResults="absent")}, "no ListResponse", True, id="no total"),
    pytest.param({"text": answer(Resources={"userName": "alice"})}, "no ListResponse", True, id="object"),
    pytest.param({"text": json.dumps(ALICE_RESOURCE)}, "no ListResponse", True, id="one user"),
    pytest.param({"text": json.dumps([ALICE_RESOURCE])}, "not_json", True, id="array"),
    pytest.param({"text": "<html>sign in</html>"}, "not_json", True, id="page"),
    pytest.param({"text": ""}, "not_json", True, id="empty"),
    pytest.param({"text": answer(ALICE_RESOURCE)[:-20]}, "not_json", True, id="cut off"),
    pytest.param({"text": answer()[:-1] + ', "totalResults": 0}'}, "not_json", True, id="member twice"),
    pytest.param({"text": "[" * 100_000}, "not_json", True, id="deep"),
    pytest.param({"text": answer(totalResults=float("nan"))}, "not_json", True, id="nan"),
    pytest.param({"text": answer({"userName": "a" * 2_000_000})}, "too_large", True, id="huge"),
    pytest.param({"status_code": 400, "text": "{}"}, "does not understand the filter", True, id="400"),
    pytest.param({"status_code": 401, "text": "{}"}, "users.scim.bearer_token", True, id="401"),
    pytest.param({"status_code": 403, "text": "no"}, "users.scim.bearer_token", True, id="403"),
    pytest.param({"status_code": 404, "text": "{}"}, "users.scim.base_url", True, id="404"),
    pytest.param({"status_code": 429, "text": "{}"}, "status 429", False, id="429"),
    pytest.param({"status_code": 500, "text": "{}"}, "status 500", False, id="500"),
    pytest.param({"status_code": 503, "text": "later"}, "status 503", False, id="503"),
    pytest.param({"status_code": 302, "headers": {"Location": "https://evil.test/"}}, "redirect", True,
                 id="redirect"),
    pytest.param({"status_code": 204}, "status 204", True, id="204"),
]  # fmt: skip


@pytest.mark.parametrize(("said", "told", "answered"), UNUSABLE)
def test_an_answer_that_says_nothing_is_no_answer(
    people: tuple[requests_mock.Adapter, AskedDirectory], said: dict[str, Any], told: str, answered: bool
) -> None:
    adapter, directory = people
    adapter.register_uri("GET", f"{BASE}/Users", **said)
    with pytest.raises(DirectoryUnavailable) as unavailable:
        directory.find("alice", now=NOW)
    assert told in str(unavailable.value)
    assert "alice" not in str(unavailable.value)
    assert TOKEN not in str(unavailable.value)
    assert unavailable.value.answered is answered


class Peer:
    """Takes one connection after another and answers each with bytes that a test gives, over and over."""

    def __init__(self, head: bytes, body: bytes, *, for_ever: bool) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}/scim/v2"
        self._head, self._body, self._for_ever = head, body, for_ever
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            with connection:
                try:
                    connection.recv(65536)
                    connection.sendall(self._head + self._body)
                    while self._for_ever and not self._over.wait(0.01):
                        connection.sendall(self._body)
                except OSError:
                    continue

    def close(self) -> None:
        self._over.set()
        # Wakes whoever accepts, which closing does not.
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join()


OK = b"HTTP/1.1 200 OK\r\nContent-Type: application/scim+json\r\n"


@pytest.mark.parametrize(
    ("head", "body", "for_ever", "told", "answered"),
    [
        pytest.param(OK + b"\r\n", b" ", True, "timeout", False, id="never ends"),
        pytest.param(OK[:20], b"", True, "timeout", False, id="half a head"),
        pytest.param(
            OK + b"Transfer-Encoding: chunked\r\n\r\n", b"1\r\n \r\n", True, "timeout", False, id="chunks"
        ),
        pytest.param(
            OK + b"Content-Encoding: gzip\r\nConnection: close\r\n\r\n",
            gzip.compress(b" " * 50_000_000),
            False,
            "too_large",
            True,
            id="inflates",
        ),
        pytest.param(
            OK + b"Content-Length: 999\r\nConnection: close\r\n\r\n", b"{}", False, "connection", False,
            id="cut off",
        ),
        pytest.param(b"SSH-2.0-OpenSSH\r\n", b"", False, "connection", False, id="another protocol"),
    ],
)  # fmt: skip
def test_an_answer_that_never_ends_or_inflates_ends_for_us(
    head: bytes, body: bytes, for_ever: bool, told: str, answered: bool
) -> None:
    peer = Peer(head, body, for_ever=for_ever)
    try:
        directory = directory_at(peer.url, seconds=0.5 if for_ever else LONG)
        with pytest.raises(DirectoryUnavailable) as unavailable:
            directory.find("alice", now=NOW)
    finally:
        peer.close()
    assert told in str(unavailable.value)
    assert unavailable.value.answered is answered
