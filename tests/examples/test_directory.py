"""The directory example: it knows people by userName alone, and shows what only it holds."""

import re
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any
from wsgiref.validate import validator

import pytest
from werkzeug.test import Client, TestResponse

from examples.directory.app import USERS_FILE, create_app
from examples.directory.people import People, Person, read_people, scim_list
from oidcgate.directory.file import FileDirectory
from oidcgate.identity import Identity

NOW = 1_800_000_000


class Reader(Client):
    """Reads every answer to its end and closes it, as a server does."""

    def open(self, *args: Any, **kwargs: Any) -> TestResponse:
        return super().open(*args, buffered=True, **kwargs)


def signed_in(user_name: str, path: Path = USERS_FILE) -> Reader:
    """A client in front of the app, with the identity that a gate would give it."""
    app = validator(create_app(path))
    identity = Identity(
        user_name=user_name,
        sub="0b3d1c9e-5f2a-4c7e-9a55-0c2f2d1a7f10",
        issuer="https://id.example.com",
        claims={"preferred_username": "alice"},
    )

    def gate(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        environ["oidcgate.identity"] = identity
        # Set by nobody but a gate: the app must not look at it.
        environ["REMOTE_USER"] = "somebody-else"
        return app(environ, start_response)

    return Reader(gate)


def text(response: TestResponse) -> str:
    assert response.content_type == "text/html; charset=utf-8"
    return " ".join(re.sub(r"<[^>]+>", " ", response.get_data(as_text=True)).split())


@pytest.mark.row("T-04")
def test_person_is_greeted_by_user_name_with_what_only_the_directory_holds() -> None:
    response = signed_in("Alice").get("/")
    assert response.status_code == 200
    assert '<span id="user-name">Alice</span>' in response.get_data(as_text=True)
    said = text(response)
    assert "You signed in as alice . This directory knows you as Alice ." in said
    for held in ("Alice Martin", "Head of Restoration", "Linden House, room 3.14", "+1 555 0101"):
        assert held in said
    assert "Reports to Ingrid Solberg" in said
    assert "Also in Workshop" in said
    assert "Bob Okafor" in said
    assert "Carol Whitfield" not in said


def test_sign_out_is_a_post_to_the_gate() -> None:
    html = signed_in("bob").get("/").get_data(as_text=True)
    assert '<form class="leave" method="post" action="/.oidcgate/logout"><button id="logout"' in html


@pytest.mark.row("T-04")
def test_who_is_not_in_the_directory_sees_nothing_of_it() -> None:
    for path in ("/", "/people", "/people/Alice", "/Users", "/me"):
        response = signed_in("mallory").get(path)
        assert response.status_code == 404
        assert "Alice" not in response.get_data(as_text=True)


def test_without_a_gate_there_is_nobody() -> None:
    client = Reader(validator(create_app()))
    response = client.get("/", headers={"X-Forwarded-User": "Alice"}, environ_base={"REMOTE_USER": "Alice"})
    assert response.status_code == 500
    assert b"Alice" not in response.data


@pytest.mark.parametrize(
    ("query", "names"),
    [
        pytest.param("martin", ["Alice Martin"], id="name"),
        pytest.param("LUTHIER", ["Bob Okafor", "Carol Whitfield"], id="title-any-case"),
        pytest.param("workshop string", ["Dmitri Volkov"], id="two-words"),
        pytest.param("francois", ["François Moreau"], id="without-accent"),
        pytest.param("yilmaz", ["Elif Yılmaz"], id="without-dotless-i"),
        pytest.param("tomas", ["Tomás Ferreira"], id="user-name"),
        pytest.param("nobody-of-that-name", [], id="none"),
    ],
)
def test_list_is_searched(query: str, names: list[str]) -> None:
    html = signed_in("Alice").get("/people", query_string={"q": query}).get_data(as_text=True)
    found = re.findall(r"<strong>([^<]+)</strong>", html)
    assert found == names


def test_whole_list_is_in_order_and_marks_the_inactive() -> None:
    html = signed_in("Alice").get("/people").get_data(as_text=True)
    found = re.findall(r"<strong>([^<]+)</strong>", html)
    assert len(found) == 12
    assert found[:2] == ["Alice Martin", "Bob Okafor"]
    assert html.count("<em>inactive</em>") == 1


def test_search_words_stay_text() -> None:
    html = signed_in("Alice").get("/people", query_string={"q": '"><script>'}).get_data(as_text=True)
    assert "<script>" not in html
    assert 'value="&#34;&gt;&lt;script&gt;"' in html


def test_entry_of_another_person() -> None:
    said = text(signed_in("Alice").get("/people/SIOBHAN"))
    assert "Bookkeeper" in said
    assert signed_in("Alice").get("/people/mallory").status_code == 404


def test_scim_list_is_paged() -> None:
    page = signed_in("Alice").get("/Users", query_string={"startIndex": "3", "count": "2"})
    assert page.content_type == "application/scim+json"
    assert page.json is not None
    assert page.json["totalResults"] == 12
    assert (page.json["startIndex"], page.json["itemsPerPage"]) == (3, 2)
    carol = page.json["Resources"][0]
    assert (carol["userName"], carol["active"]) == ("carol", False)


@pytest.mark.parametrize(
    ("start_index", "count", "shown"),
    [
        pytest.param(1, 100, ["a", "b", "c"], id="all"),
        pytest.param(0, 1, ["a"], id="zero-means-one"),
        pytest.param(-5, 2, ["a", "b"], id="negative-start"),
        pytest.param(2, 0, [], id="count-only"),
        pytest.param(2, -1, [], id="negative-count"),
        pytest.param(9, 5, [], id="beyond"),
    ],
)
def test_paging_numbers_are_mended(start_index: int, count: int, shown: list[str]) -> None:
    document = scim_list([Person(name, name) for name in "abc"], start_index, count)
    assert [user["userName"] for user in document["Resources"]] == shown
    assert document["totalResults"] == 3
    assert document["startIndex"] == max(start_index, 1)


@pytest.mark.parametrize(
    ("expression", "names"),
    [
        pytest.param('userName eq "Alice"', ["Alice"], id="exact"),
        pytest.param('username EQ "ALICE"', ["Alice"], id="no-case"),
        pytest.param('userName eq "mallory"', [], id="unknown"),
        pytest.param('userName eq "a\\"b"', ['a"b'], id="escaped"),
    ],
)
def test_scim_filter(expression: str, names: list[str]) -> None:
    people = People((Person("Alice", "Alice"), Person('a"b', "Quote")))
    assert [person.user_name for person in people.filtered(expression)] == names


@pytest.mark.parametrize(
    ("query", "kind"),
    [
        pytest.param({"filter": 'title eq "Luthier"'}, "invalidFilter", id="another-attribute"),
        pytest.param({"filter": 'userName eq "a" or active eq true'}, "invalidFilter", id="two-terms"),
        pytest.param({"filter": ""}, "invalidFilter", id="empty"),
        pytest.param({"startIndex": "x"}, "invalidValue", id="no-number"),
        pytest.param({"count": "1.5"}, "invalidValue", id="fraction"),
    ],
)
def test_scim_refusals(query: dict[str, str], kind: str) -> None:
    response = signed_in("Alice").get("/Users", query_string=query)
    assert response.status_code == 400
    assert response.json is not None
    assert response.json["scimType"] == kind
    assert response.json["schemas"] == ["urn:ietf:params:scim:api:messages:2.0:Error"]


@pytest.mark.row("T-04")
def test_me_is_the_directorys_own_record() -> None:
    me = signed_in("ALICE").get("/me").json
    assert me is not None
    assert me["userName"] == "Alice"
    assert me["emails"] == [{"value": "alice.martin@example.com", "primary": True}]
    assert me["groups"] == [{"display": "Workshop"}, {"display": "Safety officers"}]
    enterprise = me["urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"]
    assert enterprise == {"department": "Workshop", "manager": {"value": "ingrid"}}


def test_edits_of_the_file_show_at_once(tmp_path: Path) -> None:
    path = tmp_path / "users.toml"
    path.write_text(USERS_FILE.read_text(encoding="utf-8"), encoding="utf-8")
    client = signed_in("Alice", path)
    path.write_text(
        path.read_text(encoding="utf-8").replace("Head of Restoration", "Head of Everything"),
        encoding="utf-8",
    )
    assert "Head of Everything" in text(client.get("/"))


@pytest.mark.parametrize("path", ["/", "/people", "/Users", "/me", "/style.css", "/nothing"])
def test_answers_carry_their_headers(path: str) -> None:
    response = signed_in("Alice").get(path)
    assert response.headers["X-Content-Type-Options"] == "nosniff"
    assert response.headers["Content-Security-Policy"].startswith("default-src 'none'; ")
    assert response.status_code == (404 if path == "/nothing" else 200)


@pytest.mark.row("T-04")
def test_the_gate_reads_the_same_file() -> None:
    directory = FileDirectory(USERS_FILE, clock=lambda: NOW)
    alice = directory.find("alice", now=NOW)
    assert alice is not None
    assert (alice.user_name, alice.active, alice.display_name) == ("Alice", True, "Alice Martin")
    carol = directory.find("carol", now=NOW)
    assert carol is not None
    assert not carol.active
    assert directory.find("mallory", now=NOW) is None
    assert directory.problems() == []
    assert {person.user_name for person in read_people(USERS_FILE).everybody} >= {"Alice", "bob", "carol"}
