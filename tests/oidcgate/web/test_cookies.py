"""Cookies in and out."""

import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from oidcgate.web.cookies import (
    CookieNames,
    cookie_value,
    cookies_with_prefix,
    delete_cookie,
    names_gate_cookie,
    set_cookie,
    strip_cookies,
)

NAMES = CookieNames.of("https://app.example.com")
OTHER = CookieNames.of("https://app.example.com:8443")
S = NAMES.session


@pytest.mark.parametrize(
    ("header", "value"),
    [
        pytest.param("", None, id="empty"),
        pytest.param("a=1", "1", id="alone"),
        pytest.param("b=2; a=1", "1", id="last"),
        pytest.param("a=1; b=2", "1", id="first"),
        pytest.param("a=1; b=2; c=3", "1", id="first of several"),
        pytest.param("b=2;a=1;c=3", "1", id="no spaces"),
        pytest.param("b=2;  a = 1 ; c=3", "1", id="many spaces"),
        pytest.param("a=", "", id="empty value"),
        pytest.param("a=x=y==", "x=y==", id="equals in the value"),
        pytest.param('a="1"', '"1"', id="quotes stay"),
        pytest.param("a", None, id="no equals"),
        pytest.param("a=X", "X", id="any letter in the value"),
        pytest.param("b=a; a=X", "X", id="any letter in the value, name twice"),
        pytest.param("a=1\xa0", "1\xa0", id="blank beyond ASCII stays"),
        pytest.param("b=a; a=1\xa0", "1\xa0", id="blank beyond ASCII stays, name twice"),
        pytest.param("\xa0a=1", None, id="blank beyond ASCII before the name"),
        pytest.param("xa=1", None, id="end of another name"),
        pytest.param("Xa=1", None, id="end of another name in capitals"),
        pytest.param("b=2;xa=1", None, id="end of another name without a space"),
        pytest.param("ab=1", None, id="start of another name"),
        pytest.param("b=a=1", None, id="inside a value"),
        pytest.param("b=2 a=1", None, id="after a space only"),
        pytest.param("A=1", None, id="another case"),
        pytest.param("xa=1; a=2", "2", id="after a longer name"),
        pytest.param("b=a; a=2", "2", id="after a value like the name"),
        pytest.param("a=1; a=2", None, id="repeated"),
        pytest.param("a=1; a=1", None, id="repeated with one value"),
        pytest.param("a=1,a=2", "1,a=2", id="headers joined by a comma: no sealed value has one"),
    ],
)
def test_the_one_cookie_of_a_name_is_read(header: str, value: str | None) -> None:
    assert cookie_value(header, "a") == value


@pytest.mark.parametrize(
    ("header", "value"),
    [
        pytest.param("ab=1; c=3", "1", id="first, another as far from the end"),
        pytest.param("c=3; ab=1", "1", id="last"),
        pytest.param("c=ab; ab=1; ab", "1", id="elsewhere too"),
        pytest.param("abab=2", None, id="name repeated inside a name"),
    ],
)
def test_a_longer_name_is_read_alike(header: str, value: str | None) -> None:
    assert cookie_value(header, "ab") == value


@given(st.lists(st.tuples(st.sampled_from(["a", "aa", "b", "ab"]), st.text("a=1b", max_size=4)), max_size=5))
def test_reading_agrees_with_splitting(pairs: list[tuple[str, str]]) -> None:
    values = [value for name, value in pairs if name == "a"]
    expected = values[0] if len(values) == 1 else None
    assert cookie_value("; ".join(f"{name}={value}" for name, value in pairs), "a") == expected


def test_cookies_of_a_prefix_come_in_order_and_without_repeated_names() -> None:
    header = "tx-1=a; x=b; tx-2=c; tx-3=d; tx-2=e"
    assert cookies_with_prefix(header, "tx-") == [("tx-1", "a"), ("tx-3", "d")]


def test_names_on_https_are_prefixed_and_on_http_are_not() -> None:
    # Spelled out: another name would end every session and login in flight at an update.
    assert CookieNames.of("https://app.example.com") == CookieNames(
        session="__Host-oidcgate-69baddde4d58",
        transaction_prefix="__Secure-oidcgate-tx-69baddde4d58-",
        proof_prefix="__Host-oidcgate-at-69baddde4d58-",
        loop="__Secure-oidcgate-loop-69baddde4d58",
        choice="__Secure-oidcgate-idp-69baddde4d58",
        form="__Host-oidcgate-form-69baddde4d58",
        break_glass="__Host-oidcgate-break-glass-69baddde4d58",
        secure=True,
    )
    plain = CookieNames.of("http://localhost:8000")
    assert plain == CookieNames(
        session="oidcgate-0121783acd70",
        transaction_prefix="oidcgate-tx-0121783acd70-",
        proof_prefix="oidcgate-at-0121783acd70-",
        loop="oidcgate-loop-0121783acd70",
        choice="oidcgate-idp-0121783acd70",
        form="oidcgate-form-0121783acd70",
        break_glass="oidcgate-break-glass-0121783acd70",
        secure=False,
    )
    assert plain.transaction("s1") == "oidcgate-tx-0121783acd70-s1"


def test_two_gates_never_share_a_name() -> None:
    mine, other = CookieNames.of("http://localhost:8000"), CookieNames.of("http://localhost:8001")
    assert not {mine.session, mine.loop} & {other.session, other.loop}
    assert not other.said_in(mine.transaction("x"))
    assert not other.said_in(mine.session)
    assert mine.said_in(mine.session)
    assert mine.said_in(mine.loop)
    assert mine.said_in(mine.transaction("x"))


@pytest.mark.row("G-03")
@pytest.mark.parametrize(
    ("header", "left"),
    [
        pytest.param("", "", id="empty"),
        pytest.param("a=1; b=2", "a=1; b=2", id="nothing of ours"),
        pytest.param(f"{S}=v", "", id="only ours"),
        pytest.param(f"a=1; {S}=v", "a=1", id="ours last"),
        pytest.param(f"{S}=v; a=1", "a=1", id="ours first"),
        pytest.param(f"a=1; {S}=v; b=2", "a=1; b=2", id="ours between"),
        pytest.param(f"a=1;{S}=v;b=2", "a=1;b=2", id="no spaces"),
        pytest.param(f"a=1; {S}=v;b=2", "a=1;b=2", id="mixed"),
        pytest.param(f"a=1; {S}=v; {S}=w; b=2", "a=1; b=2", id="twice"),
        pytest.param(f"{NAMES.transaction('s')}=v; a=1; {S}=v; {NAMES.loop}=1", "a=1", id="all kinds"),
        pytest.param(f"a=1; {S}=v; {NAMES.loop}=1", "a=1", id="another kind behind"),
        pytest.param(f"{S}=v=w==; a=1", "a=1", id="equals in the value"),
        pytest.param(f"a=1; {OTHER.session}=v", f"a=1; {OTHER.session}=v", id="another gate's"),
        pytest.param(f"a=1; {S}=v; {OTHER.session}=w", f"a=1; {OTHER.session}=w", id="both gates'"),
        pytest.param(f"a={S}; b=2", "b=2", id="our name as a value"),
        pytest.param(f"{S},=v; b=2", "b=2", id="our name with something behind it"),
        pytest.param(f"a=1; {S} =v; b=2", "a=1; b=2", id="space before equals"),
        pytest.param(f"{S} =v=w; b=2", "b=2", id="space before equals, equals in the value"),
        # Two Cookie headers, as WSGI servers join them.
        pytest.param(f"a=1,{S}=v; b=2", "b=2", id="joined"),
        pytest.param(f"{S},{S}=v; {S}=v; b=2", "b=2", id="joined, and once more"),
        pytest.param(f"b=2; a=1,{NAMES.loop}=v", "b=2", id="joined, loop"),
        pytest.param(f"b=2; a=1,{NAMES.transaction('s')}=v", "b=2", id="joined, transaction"),
        pytest.param(f"a={NAMES.loop}; b={NAMES.transaction('s')}; c=3", "c=3", id="our names as values"),
    ],
)
def test_gate_cookies_do_not_reach_the_app(header: str, left: str) -> None:
    assert strip_cookies(header, NAMES) == left


@given(
    st.lists(
        st.sampled_from(
            ["a=1", "b=x=y", f"{S}=v", f"{NAMES.transaction('q')}=w", f"{OTHER.session}=u", "c", "d="]
        ),
        max_size=7,
    ),
    st.sampled_from(["; ", ";", " ; "]),
)
def test_stripping_keeps_exactly_what_is_not_ours(parts: list[str], joint: str) -> None:
    left = strip_cookies(joint.join(parts), NAMES)
    kept = [part.strip() for part in left.split(";") if part.strip()]
    assert kept == [part for part in parts if not NAMES.said_in(part.partition("=")[0])]


def test_a_cookie_is_written_exactly() -> None:
    assert set_cookie(S, "v", path="/", secure=True) == f"{S}=v; Path=/; HttpOnly; Secure; SameSite=Lax"
    assert (
        set_cookie("t", "v", path="/.oidcgate/", max_age=600, secure=True, same_site="None")
        == "t=v; Path=/.oidcgate/; Max-Age=600; HttpOnly; Secure; SameSite=None"
    )
    assert set_cookie("t", "v", path="/", secure=False, http_only=False) == "t=v; Path=/; SameSite=Lax"
    assert (
        delete_cookie(S, path="/", secure=True) == f"{S}=; Path=/; Max-Age=0; HttpOnly; Secure; SameSite=Lax"
    )
    assert (
        delete_cookie("t", path="/", secure=True, same_site="None")
        == "t=; Path=/; Max-Age=0; HttpOnly; Secure; SameSite=None"
    )


@pytest.mark.parametrize(
    ("name", "value", "path"),
    [
        ("a b", "v", "/"),
        ("a", "v;x", "/"),
        ("a", "v\r\nSet-Cookie: b=c", "/"),
        ("a", 'v"', "/"),
        ("a", "é", "/"),
        ("", "v", "/"),
        ("a", "v", "/; Domain=example.com"),
    ],
)
def test_nothing_breaks_out_of_a_cookie(name: str, value: str, path: str) -> None:
    with pytest.raises(ValueError, match="cannot hold"):
        set_cookie(name, value, path=path, secure=True)


TOKEN = string.ascii_letters + string.digits + "!#$%&'*+-.^_`|~"
PRINTABLE = set(map(chr, range(0x20, 0x7F)))


def written(name: str = "a", value: str = "v", path: str = "/") -> bool:
    try:
        set_cookie(name, value, path=path, secure=True)
    except ValueError:
        return False
    return True


def test_each_character_stands_only_where_rfc_6265_lets_it() -> None:
    for character in map(chr, range(256)):
        assert written(name=character) is (character in TOKEN), ascii(character)
        assert written(value=character) is (character in PRINTABLE - set(' ",;\\')), ascii(character)
        assert written(path=character) is (character in PRINTABLE - {";"}), ascii(character)


def test_a_refused_value_is_not_in_the_message() -> None:
    with pytest.raises(ValueError, match="cannot hold") as caught:
        set_cookie("a", "canary;", path="/", secure=True)
    assert "canary" not in str(caught.value)


def test_same_site_none_needs_secure() -> None:
    with pytest.raises(ValueError, match="needs Secure"):
        set_cookie("a", "v", path="/", secure=False, same_site="None")


@pytest.mark.parametrize(
    ("value", "ours"),
    [
        pytest.param(f"{S}=v; Path=/", True, id="session"),
        pytest.param(f"  {S} = v", True, id="spaces"),
        pytest.param(f"={S}=v", True, id="nameless cookie that is sent back as ours"),
        pytest.param(f"{S.upper()}=v", True, id="upper case"),
        pytest.param(f"{S}", True, id="no value"),
        pytest.param(f"{S}; Path=/", True, id="no value, but attributes"),
        pytest.param(f"X{S}=v", False, id="a letter before our name"),
        pytest.param(f"{S}X=v", False, id="a letter behind our name"),
        pytest.param(f"\xa0{S}=v", False, id="a blank beyond ASCII before our name"),
        pytest.param(f"{S}\xa0=v", False, id="a blank beyond ASCII behind our name"),
        pytest.param(f"{NAMES.transaction('x')}=v", True, id="transaction"),
        pytest.param(f"{NAMES.loop}=9", True, id="loop"),
        pytest.param("sessionid=v", False, id="the app's own"),
        pytest.param(f"theme={S}", False, id="our name as a value"),
        pytest.param(f"{OTHER.session}=v", False, id="another gate's"),
        pytest.param("", False, id="empty"),
    ],
)
def test_a_gate_cookie_set_by_the_app_is_seen(value: str, ours: bool) -> None:
    assert names_gate_cookie(value, NAMES) is ours
