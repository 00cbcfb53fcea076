"""Sealed values: nobody else can read, alter or make them."""

import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from oidcgate.web.sealing import KeyRing, Sealer, WeakSecret, new_secret

NOW = 1_800_000_000
DAY = 86_400
OLD, NEW, FOREIGN = (new_secret() for _ in range(3))


def sealer(*secrets: str, purpose: str = "session", context: str = "gate") -> Sealer:
    return Sealer(KeyRing(secrets or (NEW,)), purpose, context)


@given(st.binary(max_size=300))
def test_what_was_sealed_opens_as_it_was(data: bytes) -> None:
    token = sealer().seal(data, NOW)
    assert set(token) <= set(string.ascii_letters + string.digits + "-_")
    assert sealer().open(token) == data


def test_two_seals_of_one_value_differ() -> None:
    assert sealer().seal(b"x", NOW) != sealer().seal(b"x", NOW)


TOKEN = sealer().seal(b"user=alice;admin=no", NOW)


@given(
    st.integers(0, len(TOKEN) - 1), st.sampled_from(string.ascii_letters + string.digits + "-_+/=. ,\n%é\x00")
)
def test_one_altered_character_is_enough(position: int, character: str) -> None:
    altered = TOKEN[:position] + character + TOKEN[position + 1 :]
    if altered != TOKEN:
        assert sealer().open(altered) is None


@given(
    st.integers(0, len(TOKEN)),
    st.text(string.ascii_letters + string.digits + "-_+/=\n é", min_size=1, max_size=8),
)
def test_a_value_has_one_spelling(position: int, inserted: str) -> None:
    assert sealer().open(TOKEN[:position] + inserted + TOKEN[position:]) is None


@given(st.integers(0, len(TOKEN) - 1))
def test_a_truncated_value_does_not_open(length: int) -> None:
    assert sealer().open(TOKEN[:length]) is None


@pytest.mark.parametrize(
    "other",
    [
        pytest.param(sealer(FOREIGN), id="another secret"),
        pytest.param(sealer(purpose="transaction"), id="another purpose"),
        pytest.param(sealer(context="other"), id="another gate"),
        pytest.param(sealer(purpose="sessiong", context="ate"), id="purpose and gate cut elsewhere"),
    ],
)
def test_a_value_opens_only_for_its_purpose_and_gate(other: Sealer) -> None:
    assert other.open(TOKEN) is None
    assert sealer().open(other.seal(b"x", NOW)) is None


@pytest.mark.row("G-16")
def test_a_new_secret_in_front_seals_and_the_old_one_still_opens() -> None:
    before = sealer(OLD).seal(b"x", NOW)
    rotated = sealer(NEW, OLD)
    assert rotated.open(before) == b"x"
    after = rotated.seal(b"y", NOW)
    assert sealer(OLD).open(after) is None
    assert sealer(NEW).open(after) == b"y"
    # When the old secret is dropped, what it sealed is gone.
    assert sealer(NEW).open(before) is None


def test_values_open_on_later_days_and_each_day_has_its_key() -> None:
    keeper = sealer()
    today, tomorrow = keeper.seal(b"x", NOW), keeper.seal(b"x", NOW + DAY)
    assert sealer().open(today) == b"x"
    assert sealer().open(tomorrow) == b"x"
    # The day is part of what is authenticated: it cannot be moved.
    assert sealer().open(today[:4] + tomorrow[4:8] + today[8:]) is None


def test_many_invented_days_do_not_make_real_values_fail() -> None:
    keeper = sealer()
    token = keeper.seal(b"x", NOW)
    for day in range(300):
        invented = sealer().seal(b"x", day * DAY)
        assert keeper.open(invented[:-4] + "AAAA") is None
    assert keeper.open(token) == b"x"


@pytest.mark.row("G-16")
@pytest.mark.parametrize(
    "ring",
    [
        pytest.param([], id="none"),
        pytest.param(["short"], id="short"),
        pytest.param(["a" * 64], id="one character"),
        pytest.param(["changeme" * 8], id="regular"),
        pytest.param([NEW, ""], id="empty second"),
    ],
)
def test_weak_secrets_are_refused_without_being_shown(ring: list[str]) -> None:
    with pytest.raises(WeakSecret, match="oidcgate secret") as caught:
        KeyRing(ring)
    assert "changeme" not in str(caught.value)


def test_a_ring_and_a_sealer_do_not_show_their_secrets() -> None:
    ring = KeyRing([NEW, OLD])
    assert NEW not in repr(ring)
    assert NEW not in repr(Sealer(ring, "session", "gate"))
    assert len(ring) == 2


def test_derived_keys_differ_by_label_and_secret_and_stay_the_same() -> None:
    ring = KeyRing([NEW, OLD])
    assert ring.derive("csrf") == KeyRing([NEW, OLD]).derive("csrf")
    assert len({*ring.derive("csrf"), *ring.derive("links")}) == 4


def test_bytes_and_text_are_the_same_secret() -> None:
    assert Sealer(KeyRing([NEW.encode()]), "session", "gate").open(TOKEN) is not None


def test_a_new_secret_is_strong_and_new() -> None:
    assert new_secret() != new_secret()
    KeyRing([new_secret()])
