"""What one person agreed to, as bytes: encoding, decoding, and how much of it an attribute holds. Pure.

Sealing these bytes, and keeping them, is `consents` next door. Compression begins with the words that nearly
every record has, so that the first consent is small too.
"""

import zlib
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

import msgspec

#: The first byte says how the others are read: dictionary and compression belong to it, and never change.
_FORMAT: Final = b"\x01"
#: Scopes as they stand in a record, those that stand together last, where they are cheapest.
_DICTIONARY: Final = b"client-" + b"".join(
    msgspec.msgpack.encode(scope)
    for scope in ("groups", "phone", "address", "email", "offline_access", "openid", "profile")
)
#: More is neither written nor read: what is sealed is ours, but nobody should unpack without an end.
LONGEST_BYTES: Final = 4_000_000
_RAW_DEFLATE: Final = -15


class Unreadable(ValueError):
    """These are no records that this version wrote."""


class TooLong(ValueError):
    """There are more records than can be written."""


class Consent(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """What a person allows one client.

    Attributes:
        scopes: In alphabetical order.
        since: When they first agreed to something that holds still.
    """

    client_id: str
    scopes: tuple[str, ...]
    since: int


@dataclass(frozen=True)
class Measurement:
    """How long the kept string is, in bytes.

    Attributes:
        first: With one consent.
        further: What each further one adds, on average.
    """

    first: int
    further: float


_decoder: Final = msgspec.msgpack.Decoder(tuple[Consent, ...])


def encode(records: Iterable[Consent]) -> bytes:
    """The records, compressed.

    Raises:
        TooLong: they are more than `LONGEST_BYTES`.
    """
    raw = msgspec.msgpack.encode(tuple(records))
    if len(raw) > LONGEST_BYTES:
        raise TooLong
    deflate = zlib.compressobj(9, zlib.DEFLATED, _RAW_DEFLATE, 9, zlib.Z_DEFAULT_STRATEGY, _DICTIONARY)
    return _FORMAT + deflate.compress(raw) + deflate.flush()


def decode(data: bytes) -> tuple[Consent, ...]:
    """What `encode` was given.

    Raises:
        Unreadable: it did not make these bytes.
    """
    if data[:1] != _FORMAT:
        raise Unreadable
    inflate = zlib.decompressobj(_RAW_DEFLATE, _DICTIONARY)
    try:
        raw = inflate.decompress(data[1:], LONGEST_BYTES + 1)
        if not inflate.eof or inflate.unused_data or len(raw) > LONGEST_BYTES:
            raise Unreadable
        return _decoder.decode(raw)
    except (zlib.error, msgspec.DecodeError, UnicodeDecodeError):
        raise Unreadable from None


def scopes_of(records: Iterable[Consent], client_id: str, *, made_at: int = 0) -> frozenset[str]:
    """What is allowed to that client.

    Args:
        made_at: When there came to be that client: an older record is of another one, which had its id.
    """
    entry = _of(records, client_id, made_at)
    return frozenset(() if entry is None else entry.scopes)


def with_answer(
    records: Iterable[Consent],
    client_id: str,
    asked: frozenset[str],
    agreed: frozenset[str],
    now: int,
    *,
    made_at: int = 0,
) -> tuple[Consent, ...]:
    """The records after an answer: what was asked is as it was answered, everything else as it was.

    Args:
        made_at: As for `scopes_of`; an older record goes.
    """
    records = tuple(records)
    before = _of(records, client_id, made_at)
    scopes = agreed if before is None else (frozenset(before.scopes) - asked) | agreed
    since = now if before is None else before.since
    others = without(records, client_id)
    return (*others, Consent(client_id, tuple(sorted(scopes)), since)) if scopes else others


def _of(records: Iterable[Consent], client_id: str, made_at: int) -> Consent | None:
    return next((one for one in records if one.client_id == client_id and one.since >= made_at), None)


def without(records: Iterable[Consent], client_id: str) -> tuple[Consent, ...]:
    """The records of all other clients."""
    return tuple(entry for entry in records if entry.client_id != client_id)


def capacity(size: int, first: int, step: int) -> int:
    """How many consents an attribute of `size` bytes holds, where they take `first` and then `step` each."""
    return 0 if size < first else 1 + (size - first) // step
