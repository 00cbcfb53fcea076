"""People have the properties that are declared; a value of another kind is left out and reported."""

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection

from oidcgate.audit import Audit
from provider.catalogue_settings import STANDARD_SCOPE_CLAIMS, STANDARD_TYPES
from provider.realm import Realm
from provider.services.people import People
from provider.store.engine import Store
from provider.store.users import User, insert_user
from tests.provider.world import World

PERSON = User("sub-1", "Bob", "bob", None, True, {}, 0)
DECLARED = [
    {"name": "badge", "attribute": "aux_id_1", "type": "integer"},
    {"name": "login", "attribute": "user_name"},
]


class Anything:
    """A store of one's own."""

    def __init__(self, **attributes: Any) -> None:
        self.person = replace(PERSON, attributes=attributes)

    def find(self, _conn: Connection, _realm: Realm, user_id: str) -> User | None:
        return self.person if user_id == self.person.user_id else None

    def find_by_name(self, _conn: Connection, _realm: Realm, name: str) -> User | None:
        return self.person if name == "Bob" else None


def seen(world: World, **attributes: Any) -> tuple[dict[str, Any], list[str]]:
    """The properties of a person with these attributes, and what was reported."""
    lines: list[str] = []
    people = People(Anything(**attributes), Audit(lines.append, world.clock))
    with world.provider.parts.store.read() as conn:
        assert people.find(conn, world.realm, "sub-2") is None
        assert people.find_by_name(conn, world.realm, "eve") is None
        found = people.find(conn, world.realm, "sub-1")
        assert found == people.find_by_name(conn, world.realm, "Bob")
    assert found is not None
    return dict(found.attributes), lines


@pytest.fixture
def world(database: Path) -> Iterator[World]:
    made = World.over(database, properties=DECLARED)
    yield made
    made.provider.parts.store.dispose()


@pytest.mark.row("S-22")
def test_attributes_become_properties(world: World) -> None:
    properties, reported = seen(world, aux_id_1=7, email="b@x", groups=["a"], shoe_size=43)
    assert properties == {"badge": 7, "login": "Bob", "user_name": "Bob", "email": "b@x", "groups": ["a"]}
    assert reported == []


@pytest.mark.row("S-22", "S-36")
def test_what_is_writable_is_never_taken_from_a_store(world: World) -> None:
    properties, reported = seen(world, consents="sealed")
    assert "consents" not in properties
    assert reported == []


@pytest.mark.row("S-22")
@pytest.mark.parametrize(
    ("attribute", "value", "problem"),
    [
        pytest.param("aux_id_1", "seven", "is no integer", id="custom"),
        pytest.param("email", ["b@x"], "is no string", id="list"),
        pytest.param("email_verified", "yes", "is no boolean", id="string"),
        pytest.param("groups", "admins", "is no list", id="not-a-list"),
        pytest.param("address", {"country": {1, 2}}, "holds what JSON cannot", id="inside"),
    ],
)
def test_a_wrong_value_is_left_out_and_reported_once(
    world: World, attribute: str, value: object, problem: str
) -> None:
    properties, reported = seen(world, **{attribute: value, "name": "Bob B"})
    assert properties == {"login": "Bob", "user_name": "Bob", "name": "Bob B"}
    (line,) = reported
    assert json.loads(line) == {
        **json.loads(line),
        "event": "provider.attribute_unusable",
        "realm": "default",
        "user_id": "sub-1",
        "attribute": attribute,
        "problem": problem,
    }


@pytest.mark.row("S-22")
def test_people_in_the_database_whose_property_was_changed_meanwhile(url: str) -> None:
    """On both databases, as far as the UserInfo endpoint."""
    store = Store(url)
    with store.begin() as conn:
        insert_user(conn, "default", replace(PERSON, attributes={"email": "b@x", "badge": "B"}))
    store.dispose()
    world = World.over(url, properties=[{"name": "badge", "type": "boolean"}], claims=[{"name": "badge"}])
    answer = world.userinfo(world.tokens(user_id="sub-1")["access_token"])
    assert answer.get_json()["email"] == "b@x"
    assert "badge" not in answer.get_json()
    reported = [line for line in world.events if "provider.attribute_unusable" in line]
    assert len(reported) == 1
    assert "badge" in reported[0]
    world.provider.parts.store.dispose()


@pytest.mark.row("S-22")
def test_from_the_data_store_by_a_property_to_a_claim(database: Path) -> None:
    """Each of the three has a name of its own."""
    person = {"user_name": "bob", "user_id": "sub-1", "attributes": {"aux_id_1": 7}, "nickname": "Bobby"}
    claims = [
        {"name": "employee_number", "property": "badge"},
        {"name": "name", "property": "nickname", "into": ["userinfo"]},
    ]
    scopes = [{"value": "profile", "claims": ["employee_number", "name", "nickname"]}]
    world = World.over(database, properties=DECLARED, users=[person], claims=claims, scopes=scopes)
    told = world.userinfo(world.tokens(user_id="sub-1")["access_token"]).get_json()
    assert told == {"sub": "sub-1", "employee_number": 7, "name": "Bobby", "nickname": "Bobby"}
    world.provider.parts.store.dispose()


@pytest.mark.row("S-22")
def test_every_standard_claim_can_be_taken_from_a_property_of_ones_own(database: Path) -> None:
    standard = ("profile", "email", "address", "phone")
    names = [claim for scope in standard for claim in STANDARD_SCOPE_CLAIMS[scope]]
    made: dict[str, Any] = {"integer": 5, "boolean": True, "object": {"country": "FR"}, "string": "of Bob"}
    types = {name: STANDARD_TYPES.get(name, "string") for name in names}
    values = {name: made[kind] for name, kind in types.items()}
    world = World.over(
        database,
        properties=[
            {"name": f"p-{name}", "attribute": f"field {name}", "type": kind} for name, kind in types.items()
        ],
        claims=[{"name": name, "property": f"p-{name}"} for name in names],
        users=[
            {
                "user_name": "bob",
                "user_id": "sub-1",
                "attributes": {f"field {name}": value for name, value in values.items()},
            }
        ],
    )
    told = world.userinfo(
        world.tokens(user_id="sub-1", scope=("openid", *standard))["access_token"]
    ).get_json()
    assert told == {"sub": "sub-1", **values}
    world.provider.parts.store.dispose()
