"""What a pairwise `sub` is: the same for ever, and another for every other realm, sector and person."""

import base64
import hmac

import pytest
from hypothesis import given
from hypothesis import strategies as st

from provider.services.pairwise import pairwise_subject

SECRET = bytes(range(32))
TEXTS = st.text(max_size=40) | st.text(st.characters(codec="ascii"), max_size=40)
THREE = st.tuples(TEXTS, TEXTS, TEXTS)


def test_it_never_changes() -> None:
    """Written down: whoever changes the rule makes everybody somebody else."""
    said = pairwise_subject(SECRET, "default", "app.example", "sub-alice")
    message = b"\0\0\0\7default\0\0\0\x0bapp.example\0\0\0\x09sub-alice"
    assert said == base64.urlsafe_b64encode(hmac.digest(SECRET, message, "sha256")).decode()[:43]
    assert said == "35XhoCvWMaqjoyTVyitwlPsTKm5TOFwIcCUBil7MnoQ"


@given(THREE, THREE)
def test_two_are_the_same_only_for_the_same(one: tuple[str, str, str], other: tuple[str, str, str]) -> None:
    assert (pairwise_subject(SECRET, *one) == pairwise_subject(SECRET, *other)) == (one == other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        pytest.param(("a", "bc", "d"), ("ab", "c", "d"), id="realm-and-sector"),
        pytest.param(("a", "b", "cd"), ("a", "bc", "d"), id="sector-and-person"),
        pytest.param(("", "a", "b"), ("a", "b", ""), id="shifted"),
    ],
)
def test_no_three_can_be_cut_in_two_ways(one: tuple[str, str, str], other: tuple[str, str, str]) -> None:
    assert pairwise_subject(SECRET, *one) != pairwise_subject(SECRET, *other)


@pytest.mark.parametrize(
    "user_id", ["", "\u00e4\u4e16", "\ud800", "x" * 255], ids=["none", "far", "half", "long"]
)
def test_it_is_what_a_sub_may_be(user_id: str) -> None:
    said = pairwise_subject(SECRET, "default", "app.example", user_id)
    assert len(said) == 43
    assert set(said) <= set("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_")
    assert said != pairwise_subject(bytes(32), "default", "app.example", user_id)
