"""A CSRF token is good for one purpose, one browser and a while."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from oidcgate.web.csrf import CsrfTokens

KEY, OLD, OTHER = b"k" * 32, b"o" * 32, b"x" * 32
NOW = 1_800_000_000
HOUR = 3600

TOKENS = CsrfTokens((KEY,), "provider.consent")


def test_token_is_good_for_its_binding_and_time() -> None:
    token = TOKENS.issue("browser-1", NOW)
    assert TOKENS.check(token, "browser-1", HOUR, NOW)
    assert TOKENS.check(token, "browser-1", HOUR, NOW + HOUR)
    assert not TOKENS.check(token, "browser-1", HOUR, NOW + HOUR + 1)


@pytest.mark.parametrize(
    ("checker", "binding", "now"),
    [
        pytest.param(TOKENS, "browser-2", NOW, id="another-browser"),
        pytest.param(TOKENS, "", NOW, id="no-browser"),
        pytest.param(TOKENS, None, NOW, id="no-cookie"),
        pytest.param(CsrfTokens((KEY,), "provider.login"), "browser-1", NOW, id="another-purpose"),
        pytest.param(CsrfTokens((OTHER,), "provider.consent"), "browser-1", NOW, id="another-key"),
        pytest.param(TOKENS, "browser-1", NOW - 1, id="from-the-future"),
    ],
)
def test_token_is_refused(checker: CsrfTokens, binding: str | None, now: int) -> None:
    assert not checker.check(TOKENS.issue("browser-1", NOW), binding, HOUR, now)


@pytest.mark.parametrize(
    "token",
    [
        pytest.param(None, id="none"),
        pytest.param("", id="empty"),
        pytest.param("a.b.c", id="nonsense"),
        pytest.param(".", id="dot"),
        pytest.param("....", id="dots"),
        pytest.param("é" * 20, id="not-ascii"),
        pytest.param("\udcff", id="not-unicode"),
        pytest.param("a" * 100_000, id="huge"),
    ],
)
def test_what_is_no_token_is_refused(token: str | None) -> None:
    assert not TOKENS.check(token, "browser-1", HOUR, NOW)


@given(st.text(max_size=200))
def test_no_text_is_a_token_by_chance(token: str) -> None:
    assert not TOKENS.check(token, "browser-1", HOUR, NOW)


def test_every_altered_character_is_seen() -> None:
    token = TOKENS.issue("browser-1", NOW)
    for place, character in enumerate(token):
        altered = token[:place] + ("A" if character != "A" else "B") + token[place + 1 :]
        # The last character of a base64 group has bits that mean nothing: the same bytes are the same token.
        if place != len(token) - 1:
            assert not TOKENS.check(altered, "browser-1", HOUR, NOW), place
    assert not TOKENS.check(token[:-1], "browser-1", HOUR, NOW)


def test_first_key_signs_and_all_check() -> None:
    before = CsrfTokens((OLD,), "p").issue("b", NOW)
    rotated = CsrfTokens((KEY, OLD), "p")
    assert rotated.check(before, "b", HOUR, NOW)
    after = rotated.issue("b", NOW)
    assert CsrfTokens((KEY,), "p").check(after, "b", HOUR, NOW)
    assert not CsrfTokens((OLD,), "p").check(after, "b", HOUR, NOW)


def test_neither_binding_nor_key_is_to_be_read() -> None:
    assert "browser-1" not in TOKENS.issue("browser-1", NOW)
    assert TOKENS.issue("browser-1", NOW).isascii()
    assert "kkk" not in repr(TOKENS)


def test_bindings_of_any_bytes_work() -> None:
    assert TOKENS.check(TOKENS.issue("\udcff", NOW), "\udcff", HOUR, NOW)


@pytest.mark.parametrize(
    ("keys", "purpose"),
    [
        pytest.param((), "p", id="no-key"),
        pytest.param((KEY, b"short"), "p", id="short-key"),
        pytest.param((KEY,), "", id="no-purpose"),
    ],
)
def test_weak_making_is_refused(keys: tuple[bytes, ...], purpose: str) -> None:
    with pytest.raises(ValueError, match="CsrfTokens needs"):
        CsrfTokens(keys, purpose)


def test_token_for_nobody_is_not_issued() -> None:
    with pytest.raises(ValueError, match="bound to"):
        TOKENS.issue("", NOW)
