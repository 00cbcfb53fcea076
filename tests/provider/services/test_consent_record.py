"""What one person agreed to, as bytes: they come back as they were, nothing else is read, they are small."""

import zlib
from hashlib import sha256
from itertools import combinations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from provider.services import consent_record
from provider.services.consent_record import (
    LONGEST_BYTES,
    Consent,
    TooLong,
    Unreadable,
    capacity,
    decode,
    encode,
    scopes_of,
    with_answer,
    without,
)

NOW = 1_800_000_000
MAIL = Consent("mail", ("email", "openid"), NOW)
DESK = Consent("desk", ("openid",), NOW + 5)

CONSENTS = st.builds(
    Consent,
    st.text(max_size=100),
    st.lists(st.text(max_size=100), max_size=8).map(tuple),
    st.integers(0, 2**40),
)
SCOPES = st.frozensets(st.sampled_from(["openid", "email", "phone", "x y", "\0"]))


@pytest.mark.row("S-36")
@given(st.lists(CONSENTS, max_size=20).map(tuple))
def test_what_is_written_is_read(records: tuple[Consent, ...]) -> None:
    assert decode(encode(records)) == records


@pytest.mark.row("S-36")
@given(st.binary(max_size=200))
def test_whatever_is_read_is_records_or_unreadable(data: bytes) -> None:
    for tried in (data, b"\x01" + data):
        try:
            records = decode(tried)
        except Unreadable:
            continue
        assert all(isinstance(entry, Consent) for entry in records)


def _deflated(raw: bytes) -> bytes:
    deflate = zlib.compressobj(9, zlib.DEFLATED, -15, 9, zlib.Z_DEFAULT_STRATEGY, consent_record._DICTIONARY)
    return b"\x01" + deflate.compress(raw) + deflate.flush()


GOOD = encode([MAIL, DESK])


@pytest.mark.row("S-36")
@pytest.mark.parametrize(
    "data",
    [
        pytest.param(b"", id="nothing"),
        pytest.param(b"\x01", id="format-alone"),
        pytest.param(b"\x02" + GOOD[1:], id="another-format"),
        pytest.param(GOOD[:-1], id="cut-off"),
        pytest.param(GOOD + b"\0", id="something-behind"),
        pytest.param(GOOD[:1] + zlib.compress(msgspec.msgpack.encode([MAIL])), id="no-dictionary"),
        pytest.param(_deflated(b""), id="empty-inside"),
        pytest.param(_deflated(msgspec.msgpack.encode({})), id="a-map"),
        pytest.param(_deflated(msgspec.msgpack.encode([["a", ["b"]]])), id="a-member-too-few"),
        pytest.param(_deflated(msgspec.msgpack.encode([["a", ["b"], 1, 2]])), id="a-member-too-many"),
        pytest.param(_deflated(msgspec.msgpack.encode([["a", ["b"], "1"]])), id="time-as-text"),
        pytest.param(_deflated(msgspec.msgpack.encode([["a", "b", 1]])), id="scopes-as-text"),
        pytest.param(_deflated(msgspec.msgpack.encode([]) + b"\x90"), id="two-values"),
        pytest.param(_deflated(b"\x91\x93\xa1\xff\x90\x01"), id="not-utf-8"),
    ],
)
def test_what_is_not_ours_is_unreadable(data: bytes) -> None:
    with pytest.raises(Unreadable):
        decode(data)


@pytest.mark.row("S-36")
def test_what_never_ends_is_not_unpacked() -> None:
    """Eight megabytes of one scope in some kilobytes."""
    bomb = _deflated(msgspec.msgpack.encode([["a", ["x" * 2 * LONGEST_BYTES], 1]]))
    assert len(bomb) < 20_000
    with pytest.raises(Unreadable):
        decode(bomb)


@pytest.mark.row("S-36")
def test_the_longest_that_is_written_is_read() -> None:
    around = len(msgspec.msgpack.encode([Consent("a", ("x" * 100_000,), 1)])) - 100_000
    longest = Consent("a", ("x" * (LONGEST_BYTES - around),), 1)
    assert decode(encode([longest])) == (longest,)
    with pytest.raises(TooLong):
        encode([Consent("a", (f"{longest.scopes[0]}x",), 1)])


@pytest.mark.row("S-36")
def test_what_an_earlier_version_wrote_is_read() -> None:
    """The dictionary belongs to the format: whoever changes it makes another format."""
    assert decode(bytes.fromhex(GOLDEN)) == (MAIL, DESK)


GOLDEN = "019b34790948d124885aa8e4b96ccf4b0c9397a4a416674f4412620500"


@pytest.mark.row("S-36", "S-39")
def test_one_record_is_smaller_than_its_words() -> None:
    consent = Consent("client-0123456789abcdef", ("email", "openid", "phone", "profile"), NOW)
    assert len(encode([consent])) < len(" ".join((consent.client_id, *consent.scopes)))


@pytest.mark.row("S-39")
@pytest.mark.parametrize(
    "scopes",
    [
        pytest.param([("address", "email", "openid", "phone", "profile")], id="the-same-five"),
        pytest.param(
            list(combinations(("address", "email", "groups", "openid", "phone", "profile", "read"), 5)),
            id="any-five",
        ),
        pytest.param(
            [
                tuple(f"{verb}:{noun}" for verb in ("a", "b", "c", "d", "e"))
                for noun in ("mortgage", "payroll")
            ],
            id="scopes-of-apis",
        ),
    ],
)
def test_a_further_consent_is_small_whatever_its_scopes(scopes: list[tuple[str, ...]]) -> None:
    """In characters of the sealed string, which holds 34 bytes more, filled up, in base64."""
    made = [
        Consent(f"client-{sha256(bytes([n])).hexdigest()[:16]}", scopes[n % len(scopes)], NOW + n * 99_991)
        for n in range(100)
    ]
    sizes = [(len(encode(made[:count])) + 34 + 3) * 4 / 3 for count in (1, 100)]
    assert sizes[0] <= 277
    assert (sizes[1] - sizes[0]) / 99 <= 60


@pytest.mark.row("S-40", "C-7")
@pytest.mark.parametrize(
    ("size", "expected"),
    [
        pytest.param(0, 0, id="nothing"),
        pytest.param(276, 0, id="one-byte-short"),
        pytest.param(277, 1, id="the-first"),
        pytest.param(336, 1, id="one-byte-short-of-two"),
        pytest.param(337, 2, id="two"),
        pytest.param(32_768, 542, id="what-SecureAuth-says"),
    ],
)
def test_capacity(size: int, expected: int) -> None:
    assert capacity(size, 277, 60) == expected


@pytest.mark.row("S-40", "C-7")
@given(st.integers(0, 100_000), st.integers(1, 500), st.integers(1, 100))
def test_capacity_is_as_many_as_fit(size: int, first: int, step: int) -> None:
    count = capacity(size, first, step)
    assert count == 0 or first + (count - 1) * step <= size
    assert first + count * step > size


@pytest.mark.row("A-13", "A-14", "C-13")
@pytest.mark.parametrize(
    ("asked", "agreed", "expected"),
    [
        pytest.param({"phone"}, {"phone"}, ("email", "openid", "phone"), id="one-more"),
        pytest.param({"phone"}, set(), ("email", "openid"), id="one-more-left-out"),
        pytest.param({"email", "openid"}, {"openid"}, ("openid",), id="asked-again-and-left-out"),
        pytest.param(
            {"email", "openid"}, {"email", "openid"}, ("email", "openid"), id="asked-again-and-agreed"
        ),
    ],
)
def test_an_answer_is_noted(asked: set[str], agreed: set[str], expected: tuple[str, ...]) -> None:
    after = with_answer([MAIL, DESK], "mail", frozenset(asked), frozenset(agreed), NOW + 9)
    assert after == (DESK, Consent("mail", expected, NOW))


@pytest.mark.row("C-13")
def test_one_record_for_each_client() -> None:
    after = with_answer([MAIL], "desk", frozenset({"openid"}), frozenset({"openid"}), NOW + 5)
    assert after == (MAIL, DESK)
    assert with_answer([MAIL], "desk", frozenset({"openid"}), frozenset(), NOW) == (MAIL,)
    assert with_answer([MAIL, DESK], "mail", frozenset(MAIL.scopes), frozenset(), NOW) == (DESK,)
    assert without([MAIL, DESK], "desk") == (MAIL,)
    assert scopes_of([MAIL, DESK], "mail") == {"email", "openid"}
    assert scopes_of([MAIL], "desk") == frozenset()


@pytest.mark.row("P-13")
def test_what_an_earlier_client_of_that_id_was_given_does_not_count() -> None:
    assert scopes_of([MAIL], "mail", made_at=MAIL.since) == frozenset(MAIL.scopes)
    assert scopes_of([MAIL], "mail", made_at=MAIL.since + 1) == frozenset()
    asked = frozenset({"phone"})
    kept = with_answer([MAIL], "mail", asked, asked, NOW + 9, made_at=MAIL.since)
    assert kept == (Consent("mail", ("email", "openid", "phone"), MAIL.since),)
    begun = with_answer([MAIL], "mail", asked, asked, NOW + 9, made_at=MAIL.since + 1)
    assert begun == (Consent("mail", ("phone",), NOW + 9),)


@pytest.mark.row("A-13")
@given(st.lists(st.tuples(st.sampled_from("abc"), SCOPES, SCOPES), max_size=8))
def test_what_holds_is_what_was_said_last(answers: list[tuple[str, frozenset[str], frozenset[str]]]) -> None:
    records: tuple[Consent, ...] = ()
    said: dict[tuple[str, str], bool] = {}
    for now, (client, asked, checked) in enumerate(answers):
        records = with_answer(records, client, asked, asked & checked, now)
        said |= {(client, scope): scope in checked for scope in asked}
    for client in "abc":
        expected = {scope for (who, scope), agreed in said.items() if who == client and agreed}
        assert scopes_of(records, client) == expected
    assert len({entry.client_id for entry in records}) == len(records)
    assert decode(encode(records)) == records
