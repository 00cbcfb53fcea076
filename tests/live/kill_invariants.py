"""What has to be true of a provider's database whatever was killed, and of what anybody was told before.

`broken` says what is not. It looks at rows alone, so that no code of the provider judges itself; what is
told works, or is refused, at the provider's own endpoints is asked by whoever calls.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

Row = Mapping[str, Any]
Rows = Mapping[str, Sequence[Row]]

#: What hangs on a grant.
_HANGING = ("codes", "access_tokens", "refresh_tokens", "device_codes")


@dataclass(frozen=True)
class Told:
    """Every text that a client or a browser was given in an answer that arrived, by the table of its row."""

    codes: tuple[str, ...] = ()
    access_tokens: tuple[str, ...] = ()
    refresh_tokens: tuple[str, ...] = ()
    device_codes: tuple[str, ...] = ()

    def __add__(self, other: "Told") -> "Told":
        return Told(**{name: (*value, *getattr(other, name)) for name, value in vars(self).items()})


_KEYS = {
    "codes": "code_hash",
    "access_tokens": "token_hash",
    "refresh_tokens": "token_hash",
    "device_codes": "device_hash",
}


def broken(rows: Rows, told: Told) -> list[str]:
    """Everything that is wrong; empty when nothing is half."""
    return [
        *_without_a_grant(rows),
        *_codes(rows),
        *_devices(rows),
        *_families(rows),
        *_grants(rows),
        *_interactions(rows),
        *_told(rows, told),
    ]


def _without_a_grant(rows: Rows) -> Iterator[str]:
    """Nothing is worth anything that no grant stands behind."""
    grants = {row["grant_id"]: row for row in rows["grants"]}
    for table in _HANGING:
        for row in rows[table]:
            if row["grant_id"] is None:
                continue
            grant = grants.get(row["grant_id"])
            if grant is None:
                yield f"{table}: a row without a grant"
            elif grant["client_id"] != row.get("client_id", grant["client_id"]):
                yield f"{table}: a row of another client than its grant"


def _codes(rows: Rows) -> Iterator[str]:
    """A code is used and gave tokens, or is not used and gave none."""
    stopped = _stopped(rows)
    for code in rows["codes"]:
        refreshes = [row for row in rows["refresh_tokens"] if row["grant_id"] == code["grant_id"]]
        given = [row for row in rows["access_tokens"] if row["grant_id"] == code["grant_id"]]
        if code["consumed_at"] is None and refreshes:
            yield "codes: tokens were given for a code that is unused"
        if code["consumed_at"] and not (given or refreshes) and code["grant_id"] not in stopped:
            yield "codes: a code is used and its grant goes on without tokens"


def _devices(rows: Rows) -> Iterator[str]:
    """A device is answered with a grant, or with no; its code is used and gave tokens, or neither."""
    stopped = _stopped(rows)
    for device in rows["device_codes"]:
        given = [row for row in rows["access_tokens"] if row["grant_id"] == device["grant_id"]]
        if device["grant_id"] is not None and device["decided_at"] is None:
            yield "device_codes: a grant for a device that nobody answered"
        if device["consumed_at"] is not None and device["grant_id"] is None:
            yield "device_codes: a code is used that nobody allowed"
        if device["consumed_at"] is None and given:
            yield "device_codes: tokens were given for a code that is unused"
        if device["consumed_at"] and not given and device["grant_id"] not in stopped:
            yield "device_codes: a code is used and its grant goes on without tokens"


def _families(rows: Rows) -> Iterator[str]:
    """A used refresh token has one successor, sealed beside it; a family has one unused."""
    successors = [row["predecessor_hash"] for row in rows["refresh_tokens"] if row["predecessor_hash"]]
    unused: dict[str, int] = {}
    for row in rows["refresh_tokens"]:
        used, following = row["consumed_at"] is not None, successors.count(row["token_hash"])
        if following != (1 if used else 0):
            yield f"refresh_tokens: a {'used' if used else 'fresh'} token with {following} successors"
        if used != (row["successor_sealed"] is not None):
            yield "refresh_tokens: used without a sealed successor, or the other way round"
        unused[row["grant_id"]] = unused.get(row["grant_id"], 0) + (not used)
    if any(count != 1 for count in unused.values()):
        yield "refresh_tokens: a family that has not one unused token"


def _grants(rows: Rows) -> Iterator[str]:
    """A grant gave something, or was never written."""
    hanging = {row["grant_id"] for table in _HANGING for row in rows[table]}
    for grant in rows["grants"]:
        if grant["grant_id"] not in hanging and grant["revoked_at"] is None:
            yield "grants: a grant goes on that nothing was given for"


def _interactions(rows: Rows) -> Iterator[str]:
    """A request is finished where its grant is written."""
    for client_id in {row["client_id"] for row in rows["interactions"]}:
        finished = [
            row for row in rows["interactions"] if row["client_id"] == client_id and row["finished_at"]
        ]
        granted = [row for row in rows["grants"] if row["client_id"] == client_id and row["sid"]]
        if len(finished) > len(granted):
            yield "interactions: a request is finished that nothing was given for"


def _told(rows: Rows, told: Told) -> Iterator[str]:
    """What was said is written down, and only by its hash."""
    for table, texts in vars(told).items():
        hashes = {row[_KEYS[table]] for row in rows[table]}
        if any(sha256(text.encode()).hexdigest() not in hashes for text in texts):
            yield f"{table}: something was told that is not there"
        everything = repr(rows)
        if any(text in everything for text in texts):
            yield f"{table}: a text that was told stands in the database"


def _stopped(rows: Rows) -> set[str]:
    return {row["grant_id"] for row in rows["grants"] if row["revoked_at"] is not None}
