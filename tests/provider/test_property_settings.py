"""The fields of the data store: which there are, what a value has to be, where consents can be kept."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from oidcgate.settings import SettingsError, parse
from provider.config import ProviderSettings
from provider.property_settings import (
    DEFAULT_PROPERTIES,
    NAMED_ATTRIBUTES,
    PROPERTY_TYPES,
    PropertySettings,
    consent_attribute_problem,
    joined,
)
from provider.user_settings import UserSettings
from tests.provider.refusals import told
from tests.provider.world import config

AUX = {"name": "aux_id_10", "writable": True}


def problems(**changes: Any) -> list[str]:
    """What is wrong with a configuration."""
    try:
        parse(ProviderSettings, config("sqlite:///provider.db", **changes))
    except SettingsError as error:
        return [str(problem) for problem in told(error)]
    return []


@pytest.mark.row("S-22")
def test_every_standard_claim_has_a_property_of_its_name() -> None:
    names = [entry.name for entry in DEFAULT_PROPERTIES]
    assert names == ["user_name", *NAMED_ATTRIBUTES, "consents"]
    assert [entry.name for entry in DEFAULT_PROPERTIES if entry.writable] == ["consents"]
    user_fields = set(UserSettings.__dataclass_fields__)
    assert set(NAMED_ATTRIBUTES) < user_fields


@pytest.mark.row("S-22", "S-37")
def test_what_is_written_adds_to_the_default_ones_or_takes_their_place() -> None:
    written = [{"name": "aux", "attribute": "aux_id_1"}, {"name": "consents", "attribute": "aux_id_10"}]
    settings = parse(
        ProviderSettings,
        config(
            "sqlite:///provider.db",
            properties=[written[0], {**written[1], "writable": True, "max_length": 32768}],
            consent={"attribute": "aux_id_10"},
        ),
    )
    assert [entry.name for entry in settings.properties] == ["aux", "consents"]
    everything = settings.all_properties
    assert len(everything) == len(DEFAULT_PROPERTIES) + 1
    assert everything["aux"].field == "aux_id_1"
    assert everything["email"].field == "email"
    assert (everything["consents"].field, everything["consents"].max_length) == ("aux_id_10", 32768)


@pytest.mark.row("S-22")
@pytest.mark.parametrize(
    ("entries", "problem"),
    [
        pytest.param([{"name": "a"}, {"name": "a"}], "properties[1].name: 'a' is used by", id="twice"),
        pytest.param([{"name": "a", "type": "date"}], "properties[0].type: 'date' is not one of", id="type"),
        pytest.param([{"name": ""}], "properties[0].name", id="no-name"),
        pytest.param([{"name": " a"}], "properties[0].name: ' a' is longer than", id="space-around"),
        pytest.param([{"name": "a", "attribute": "b\0"}], "properties[0].attribute: 'b", id="control"),
        pytest.param([{"name": "a" * 101}], "is longer than 100 characters", id="long"),
        pytest.param(
            [{"name": "a", "type": "integer", "max_length": 4}],
            "properties[0].max_length: 4 is said of a value of type integer; remove it",
            id="length-of-4",
        ),
        pytest.param(
            [{"name": "a", "fixed_length": True}],
            "properties[0].max_length: is missing beside fixed_length",
            id="fixed-at-nothing",
        ),
        pytest.param([{"name": "a", "max_length": -1}], "properties[0].max_length", id="negative"),
        pytest.param(
            [{"name": "login", "attribute": "user_name", "writable": True}],
            "properties[0].attribute: 'user_name' is the name to sign in with",
            id="user-name-written",
        ),
        pytest.param(
            [{"name": "login", "attribute": "user_name", "type": "integer"}],
            "properties[0].attribute: 'user_name' is the name to sign in with",
            id="user-name-of-another-type",
        ),
        pytest.param(
            [{"name": "login", "attribute": "user_name", "multi_valued": True}],
            "properties[0].attribute: 'user_name' is the name to sign in with",
            id="user-name-as-a-list",
        ),
        pytest.param(
            [{"name": "mail", "attribute": "email", "multi_valued": True}],
            "properties[0].attribute: 'email' is said to be something else by the property email",
            id="one-attribute-of-two-shapes",
        ),
        pytest.param([{"name": "a", "colour": 1}], "properties[0].colour", id="unknown-key"),
    ],
)
def test_refused_at_load(entries: list[dict[str, Any]], problem: str) -> None:
    found = problems(properties=entries)
    assert any(problem in line for line in found), found


@pytest.mark.row("S-22")
@pytest.mark.parametrize("attribute", ["email", "user_name"])
def test_two_properties_of_one_attribute_that_say_the_same(attribute: str) -> None:
    assert problems(properties=[{"name": "another", "attribute": attribute}]) == []


@pytest.mark.row("S-22")
def test_a_name_of_100_characters() -> None:
    assert problems(properties=[{"name": "a" * 100, "attribute": "b" * 100}]) == []


@pytest.mark.row("S-37", "S-38")
@pytest.mark.parametrize(
    ("entry", "problem"),
    [
        pytest.param({**AUX}, None, id="usable"),
        pytest.param({**AUX, "max_length": 32768}, None, id="usable-and-limited"),
        pytest.param({"name": "other", "writable": True}, "is the attribute of no property", id="not-there"),
        pytest.param({**AUX, "writable": False}, "cannot be written", id="read-only"),
        pytest.param({**AUX, "multi_valued": True}, "holds a list", id="multi-valued"),
        pytest.param(
            {**AUX, "fixed_length": True, "max_length": 9}, "is of a fixed length", id="fixed-length"
        ),
        pytest.param({**AUX, "type": "integer"}, "holds no string", id="integer"),
        pytest.param({**AUX, "type": "object"}, "holds no string", id="object"),
    ],
)
@pytest.mark.parametrize("realm", ["default", "second"])
def test_where_consents_can_be_kept(entry: dict[str, Any], problem: str | None, realm: str) -> None:
    changes = {"properties": [entry], "consent": {"attribute": "aux_id_10"}}
    found = problems(**changes) if realm == "default" else problems(realms=[{"name": "second", **changes}])
    prefix = "" if realm == "default" else "realms[0]."
    if problem is None:
        assert found == []
    else:
        (line,) = found
        assert line.startswith(f"{prefix}consent.attribute: 'aux_id_10' {problem}")


@pytest.mark.row("S-37")
@pytest.mark.parametrize("attribute", ["user_name", "email", "groups", "", "nothing"])
def test_consents_are_not_kept_in_what_people_are_known_by(attribute: str) -> None:
    assert consent_attribute_problem(joined([]), attribute) is not None


@pytest.mark.row("S-22", "S-36")
@pytest.mark.parametrize(
    "claim",
    [{"name": "consents"}, {"name": "agreed", "property": "consents"}],
    ids=["by-name", "by-property"],
)
def test_no_claim_tells_what_the_provider_writes(claim: dict[str, str]) -> None:
    scope = {"value": "x", "claims": [claim["name"]]}
    (line,) = problems(claims=[claim], scopes=[scope])
    assert line.startswith("claims[0].property: 'consents' is what the provider writes for itself")


@pytest.mark.row("S-22", "A-28")
@pytest.mark.parametrize("name", ["groups", "organizations"])
def test_nobody_writes_what_opens_applications_to_them(name: str) -> None:
    found = problems(properties=[{"name": name, "multi_valued": True, "writable": True}])
    assert f"properties[0].writable: true lets people write {name} themselves" in found[0]


@pytest.mark.row("S-22", "A-28")
@pytest.mark.parametrize("claim", ["email", "email_verified", "phone_number", "phone_number_verified"])
def test_nobody_writes_what_applications_take_for_verified(claim: str) -> None:
    kind = "boolean" if claim.endswith("verified") else "string"
    # People of the file may be said to have it, which is another problem.
    line = problems(properties=[{"name": claim, "type": kind, "writable": True}])[-1]
    assert line.startswith(f"claims.{claim}.property: '{claim}' is written by people themselves")
    (line,) = problems(
        properties=[{"name": "mine", "type": kind, "writable": True}],
        claims=[{"name": claim, "property": "mine"}],
    )
    assert line.startswith("claims[0].property: 'mine' is written by people themselves")


@pytest.mark.row("S-22", "A-28")
def test_what_people_write_may_be_a_claim() -> None:
    assert problems(
        properties=[{"name": "nickname", "writable": True, "display_name": "What friends say"}],
        claims=[{"name": "called", "property": "nickname"}],
        scopes=[{"value": "x", "claims": ["called"]}],
    ) == []  # fmt: skip


@pytest.mark.row("S-22")
def test_two_properties_of_one_attribute_may_be_called_differently() -> None:
    assert problems(properties=[{"name": "a"}, {"name": "b", "attribute": "a", "display_name": "B"}]) == []


SHAPES: dict[str, PropertySettings] = {
    "string": PropertySettings(name="a"),
    "short": PropertySettings(name="a", max_length=4),
    "fixed": PropertySettings(name="a", max_length=4, fixed_length=True),
    "integer": PropertySettings(name="a", type="integer"),
    "boolean": PropertySettings(name="a", type="boolean"),
    "object": PropertySettings(name="a", type="object"),
    "strings": PropertySettings(name="a", multi_valued=True),
    "integers": PropertySettings(name="a", type="integer", multi_valued=True),
}


@pytest.mark.row("S-22")
@pytest.mark.parametrize(
    ("shape", "value", "problem"),
    [
        pytest.param("string", "x", None, id="string"),
        pytest.param("string", 1, "is no string", id="integer-for-string"),
        pytest.param("string", ["x"], "is no string", id="list-for-string"),
        pytest.param("string", "\ud800", "holds what JSON cannot", id="half-a-character"),
        pytest.param("short", "äö", None, id="four-bytes"),
        pytest.param("short", "äöx", "is longer than 4 bytes", id="three-characters-of-five-bytes"),
        pytest.param("fixed", "abcd", None, id="exactly"),
        pytest.param("fixed", "abc", "is shorter than 4 bytes", id="too-short"),
        pytest.param("fixed", "abcde", "is longer than 4 bytes", id="too-long"),
        pytest.param("integer", 0, None, id="zero"),
        pytest.param("integer", True, "is no integer", id="boolean-for-integer"),
        pytest.param("integer", "1", "is no integer", id="string-for-integer"),
        pytest.param("integer", 1.0, "is no integer", id="number-for-integer"),
        pytest.param("boolean", False, None, id="false"),
        pytest.param("boolean", 0, "is no boolean", id="integer-for-boolean"),
        pytest.param("object", {"a": [1, None]}, None, id="object"),
        pytest.param("object", [], "is no object", id="list-for-object"),
        pytest.param("object", {"a": object()}, "holds what JSON cannot", id="object-of-anything"),
        pytest.param("object", {"a": float("nan")}, "holds what JSON cannot", id="no-number"),
        pytest.param("strings", [], None, id="none"),
        pytest.param("strings", ("a", "b"), None, id="two"),
        pytest.param("strings", "a", "is no list", id="string-for-list"),
        pytest.param("strings", ["a", 1], "is no string", id="one-of-them"),
        pytest.param("integers", [1, True], "is no integer", id="one-of-the-integers"),
    ],
)
def test_what_a_value_has_to_be(shape: str, value: object, problem: str | None) -> None:
    assert SHAPES[shape].value_problem(value) == problem


ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.binary(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner) | st.tuples(inner),
)


@pytest.mark.row("S-22")
@given(ANYTHING, st.sampled_from(PROPERTY_TYPES), st.booleans())
def test_any_value_is_right_or_wrong(value: object, kind: str, multi_valued: bool) -> None:
    problem = PropertySettings(name="a", type=kind, multi_valued=multi_valued).value_problem(value)
    assert problem is None or problem.startswith(("is ", "holds "))


@pytest.mark.row("S-22")
def test_what_is_wrong_is_said_with_what_to_do() -> None:
    given = ", ".join(sorted((*NAMED_ATTRIBUTES, "aux_id_1")))
    found = problems(
        properties=[AUX_ID_1, AUX_ID_1, {"name": "mail", "attribute": "email", "max_length": 4}],
        users=[{"user_name": "a", "attributes": {"shoe": 1, "consents": "x", "aux_id_1": "7"}}],
    )
    assert found == [
        "properties[1].name: 'badge' is used by another entry; keep one of them",
        "properties[2].attribute: 'email' is said to be something else by the property email; "
        "say the same of both, or use one property",
        "users[0].attributes.shoe: is no attribute of a person; "
        f"declare it under [[properties]], or use one of {given}",
        "users[0].attributes.consents: is not given as an attribute: the provider keeps it itself; remove it",
        "users[0].attributes.aux_id_1: is no integer; correct it, or what [[properties]] says of it",
    ]


AUX_ID_1 = {"name": "badge", "attribute": "aux_id_1", "type": "integer"}


@pytest.mark.row("S-22")
@pytest.mark.parametrize(
    ("person", "problem"),
    [
        pytest.param({"attributes": {"aux_id_1": 7}}, None, id="declared"),
        pytest.param(
            {"attributes": {"aux_id_1": "7"}}, "users[0].attributes.aux_id_1: is no integer", id="type"
        ),
        pytest.param(
            {"attributes": {"aux_id_2": 7}}, "users[0].attributes.aux_id_2: is no attribute", id="undeclared"
        ),
        pytest.param(
            {"attributes": {"badge": 7}}, "users[0].attributes.badge: is no attribute", id="by-the-property"
        ),
        pytest.param(
            {"attributes": {"email": "a@b"}}, "users[0].attributes.email: has a key of its own", id="standard"
        ),
        pytest.param(
            {"attributes": {"consents": "x"}},
            "users[0].attributes.consents: is not given as an attribute",
            id="writable",
        ),
        pytest.param(
            {"attributes": {"user_name": "x"}},
            "users[0].attributes.user_name: is not given as an attribute",
            id="user-name",
        ),
        pytest.param(
            {"email": "a@example.org"}, "users[0].email: is longer than 4 bytes", id="standard-too-long"
        ),
    ],
)
def test_people_of_the_file_have_what_is_declared(person: dict[str, Any], problem: str | None) -> None:
    properties = [AUX_ID_1, {"name": "email", "max_length": 4}]
    found = problems(properties=properties, users=[{"user_name": "a", **person}])
    assert [line.startswith(problem or "") for line in found] == ([] if problem is None else [True])
