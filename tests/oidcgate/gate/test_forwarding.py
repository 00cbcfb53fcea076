"""What an app that runs elsewhere is told, to the byte, and what is not to be told at all."""

from typing import Any
from urllib.parse import unquote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from oidcgate.gate.context_settings import FACTS
from oidcgate.gate.forwarding import PRESETS, Forwarding, NotForwardable, names_of
from oidcgate.identity import Identity, read_only

PRESET = Forwarding("oauth2-proxy")
# What changes a value on its way, or what a reader breaks or joins values at.
CONTROLS = [*map(chr, range(0x20)), *map(chr, range(0x7F, 0xA0)), "\u2028", "\u2029"]


def identity(user_name: str = "Alice", **claims: Any) -> Identity:
    return Identity(user_name, "s", "https://id.example", claims=read_only(claims))


def told(who: Identity, forwarding: Forwarding = PRESET) -> dict[bytes, bytes]:
    pairs = forwarding.headers(who)
    assert len(dict(pairs)) == len(pairs), "no name twice"
    return dict(pairs)


@pytest.mark.row("T-02")
def test_the_preset_says_name_email_and_groups() -> None:
    who = identity("Zoë Žáková", email="zoe@example.com", groups=["staff", "Vývoj"], name="Zoë")
    assert PRESET.headers(who) == (
        (b"x-forwarded-user", "Zoë Žáková".encode()),
        (b"x-forwarded-preferred-username", "Zoë Žáková".encode()),
        (b"x-forwarded-email", b"zoe@example.com"),
        (b"x-forwarded-groups", "staff,Vývoj".encode()),
    )


@pytest.mark.row("T-02")
def test_headers_of_ones_own_carry_the_user_name_beside_the_preset_or_alone() -> None:
    own = ("X-Remote-User", "WebAuth-User")
    assert Forwarding("none", own).headers(identity()) == (
        (b"x-remote-user", b"Alice"),
        (b"webauth-user", b"Alice"),
    )
    both = Forwarding("oauth2-proxy", own)
    assert list(told(identity(), both)) == [
        *(b"x-forwarded-user", b"x-forwarded-preferred-username"),
        *(b"x-remote-user", b"webauth-user"),
    ]


@pytest.mark.row("T-02")
@pytest.mark.parametrize("preset", PRESETS)
def test_every_name_that_can_be_set_is_announced_so_that_it_can_be_taken_from_clients(preset: str) -> None:
    forwarding = Forwarding(preset, ("X-Own",))
    names = {name.lower().encode() for name in forwarding.names}
    assert set(told(identity(email="a@b.example", groups=["g"]), forwarding)) == names


def test_without_a_preset_nothing_is_said() -> None:
    assert Forwarding().headers(identity("a,b\n", email="a@b.example")) == ()
    assert Forwarding().names == ()


# -- names


@pytest.mark.row("T-02")
@pytest.mark.parametrize("character", CONTROLS, ids=[f"U+{ord(one):04X}" for one in CONTROLS])
def test_a_name_with_a_control_character_is_not_sent(character: str) -> None:
    for name in (f"a{character}b", f"{character}a", f"a{character}", character):
        for forwarding in (PRESET, Forwarding("none", ("X-Own",))):
            with pytest.raises(NotForwardable):
                forwarding.headers(identity(name))


@pytest.mark.row("T-02")
@pytest.mark.parametrize(
    "name",
    [
        pytest.param("", id="nothing"),
        pytest.param("a,b", id="two at once"),
        pytest.param(",a", id="one after nothing"),
        pytest.param(" a", id="blank in front"),
        pytest.param("a ", id="blank behind"),
        pytest.param("\u00a0a", id="no-break blank"),
        pytest.param("a\u3000", id="wide blank"),
        pytest.param(" ", id="blank"),
    ],
)
def test_a_name_that_a_header_would_change_is_not_sent(name: str) -> None:
    with pytest.raises(NotForwardable):
        PRESET.headers(identity(name))


@pytest.mark.row("T-02")
@pytest.mark.parametrize(
    "name", ["a b", "a;b", "a%2Cb", 'a"b', "a=b", "a|b", "太郎", "\U0001f600", "a\u00a0b"]
)
def test_any_other_name_is_sent_as_it_is(name: str) -> None:
    assert told(identity(name))[b"x-forwarded-user"] == name.encode()


@pytest.mark.row("T-02")
@given(
    st.lists(st.text(alphabet=st.characters(exclude_categories=["Cs"])), min_size=2, max_size=2, unique=True)
)
def test_two_names_never_look_alike(names: list[str]) -> None:
    sent = []
    for name in names:
        try:
            value = told(identity(name))[b"x-forwarded-user"]
        except NotForwardable:
            continue
        assert value.decode() == name
        # What servers do to a value: blanks off its ends, several joined by a comma.
        assert value == value.strip(b" \t\r\n")
        assert b"," not in value
        sent.append(value)
    assert len(set(sent)) == len(sent)


# -- e-mail addresses and groups


@pytest.mark.row("T-02")
@pytest.mark.parametrize(
    "email",
    [
        *(None, "", " ", 5, True, ["a@b.example"], {"a": "b"}),
        *(" a@b.example", "a@b.example ", "a@b.example,c@d.example"),
        pytest.param("a@b.example\n", id="newline"),
        pytest.param("a\x00@b.example", id="nul"),
        pytest.param("a\u2028@b.example", id="line-separator"),
    ],
    ids=ascii,
)
def test_an_address_that_is_none_or_could_be_anothers_is_left_out(email: Any) -> None:
    sent = told(identity(email=email))
    assert b"x-forwarded-email" not in sent
    assert sent[b"x-forwarded-user"] == b"Alice"


def test_an_address_beyond_ascii_is_sent() -> None:
    assert told(identity(email="zoë@žilina.example"))[b"x-forwarded-email"].decode() == "zoë@žilina.example"


@pytest.mark.row("T-02")
@pytest.mark.parametrize(
    ("groups", "value"),
    [
        pytest.param(["a", "b"], b"a,b", id="two"),
        pytest.param("a", b"a", id="one as text"),
        pytest.param("a,b", b"a%2Cb", id="one as text with a comma"),
        pytest.param(["a,admins"], b"a%2Cadmins", id="comma"),
        pytest.param(["a%2Cb"], b"a%252Cb", id="percent"),
        pytest.param(["a\r\nX: y"], b"a%0D%0AX: y", id="line end"),
        pytest.param(["a\x85b\u2028"], b"a%C2%85b%E2%80%A8", id="line ends beyond ASCII"),
        pytest.param([" admins ", "\tb", "\u00a0c"], b"%20admins%20,%09b,%C2%A0c", id="blanks around"),
        pytest.param(["", " ", "a"], b"%20,a", id="empty ones"),
        pytest.param(["a", 5, None, ["b"], "c"], b"a,c", id="what is no name"),
        pytest.param(["a b"], b"a b", id="blank inside"),
        pytest.param(["Vývoj"], "Vývoj".encode(), id="beyond ASCII"),
    ],
)
def test_groups_are_joined_by_a_comma_that_no_group_can_write(groups: Any, value: bytes) -> None:
    assert told(identity(groups=groups))[b"x-forwarded-groups"] == value


@pytest.mark.parametrize("groups", [None, [], "", [""], 5, {"a": "b"}, [5]], ids=str)
def test_no_groups_are_no_header(groups: Any) -> None:
    assert b"x-forwarded-groups" not in told(identity(groups=groups))


@pytest.mark.row("T-02")
@given(st.lists(st.text(alphabet=st.characters(exclude_categories=["Cs"]))))
def test_a_reader_gets_back_exactly_the_groups_that_were_said(groups: list[str]) -> None:
    sent = told(identity(groups=groups)).get(b"x-forwarded-groups", b"").decode()
    read = [unquote(entry) for entry in sent.split(",") if entry]
    assert read == [group for group in groups if group]
    assert sent == sent.strip()
    assert not set(CONTROLS) & set(sent)


# -- context attributes

CUSTOM = Forwarding("none", (), [("X-Custom", "custom")])


def custom(value: Any) -> bytes | None:
    return told(identity(custom=value), CUSTOM).get(b"x-custom")


@pytest.mark.row("T-02", "A-25")
@pytest.mark.parametrize(
    ("value", "sent"),
    [
        pytest.param("Sales", b"Sales", id="text"),
        pytest.param("Žilina", "Žilina".encode(), id="beyond ASCII"),
        pytest.param("Adams, Alice", b"Adams%2C Alice", id="comma"),
        pytest.param("100%", b"100%25", id="percent"),
        pytest.param("a\r\nX-Admin: 1", b"a%0D%0AX-Admin: 1", id="line end"),
        pytest.param(" a ", b"%20a%20", id="blanks around"),
        pytest.param(True, b"true", id="true"),
        pytest.param(False, b"false", id="false"),
        pytest.param(0, b"0", id="zero"),
        pytest.param(2.5, b"2.5", id="number"),
        pytest.param(["a", "b,c"], b"a,b%2Cc", id="list"),
        pytest.param([1, 2.5], b"1,2.5", id="numbers"),
        pytest.param([True, False], b"true,false", id="booleans"),
        pytest.param({"a": "x", "b": {"c": 4}}, b'{"a":"x"%2C"b":{"c":4}}', id="object"),
        pytest.param({"město": "Žilina"}, '{"město":"Žilina"}'.encode(), id="object beyond ASCII"),
        pytest.param([{"a": ["x", "y"]}], b'{"a":["x"%2C"y"]}', id="list of objects"),
        pytest.param("", None, id="empty"),
        pytest.param([], None, id="empty list"),
        pytest.param(["", ""], None, id="list of nothing"),
        pytest.param(None, None, id="null"),
    ],
)
def test_an_attribute_in_a_header(value: Any, sent: bytes | None) -> None:
    assert custom(value) == sent


def test_an_attribute_that_nobody_has_is_no_header() -> None:
    assert told(identity(), CUSTOM) == {}


@pytest.mark.row("T-02")
@given(st.lists(st.text(alphabet=st.characters(exclude_categories=["Cs"]), min_size=1), min_size=1))
def test_a_reader_gets_back_exactly_what_an_attribute_said(values: list[str]) -> None:
    sent = (custom(values) or b"").decode()
    assert [unquote(entry) for entry in sent.split(",")] == values
    assert not set(CONTROLS) & set(sent)
    assert (custom(values[0]) or b"").decode() == sent.split(",")[0], "alone it is written as in a list"


@pytest.mark.row("A-25")
def test_what_a_session_says_of_itself_is_not_taken_from_claims() -> None:
    names = ("sub", "iss", "idp", "acr", "amr", "auth_time")
    forwarding = Forwarding("none", (), [(f"X-{name}", name) for name in names])
    who = Identity(
        *("Alice", "s", "https://id.example", "Example", 1_800_000_000, "high", ("pwd", "otp")),
        claims=read_only(dict.fromkeys(names, "forged")),
    )
    assert list(told(who, forwarding).values()) == [
        *(b"s", b"https://id.example", b"Example", b"high", b"pwd,otp", b"1800000000")
    ]
    assert set(names) == FACTS


@pytest.mark.row("T-02")
def test_names_of_attributes_are_announced_too() -> None:
    forwarding = Forwarding("oauth2-proxy", ("X-Own",), [("X-Custom", "custom")])
    assert forwarding.names == (*names_of("oauth2-proxy"), "X-Own", "X-Custom")
    assert forwarding.carried[-3:] == (
        ("X-Forwarded-Groups", "groups"),
        ("X-Own", "userName"),
        ("X-Custom", "custom"),
    )
