"""The eye that looks at what a kill left sees each kind of half."""

from collections.abc import Callable
from hashlib import sha256
from typing import Any

import pytest

from tests.live.kill_invariants import Told, broken

Rows = dict[str, list[dict[str, Any]]]
TOLD = Told(
    codes=("code-1",), access_tokens=("access-1",), refresh_tokens=("refresh-2",), device_codes=("device-1",)
)


def digest(text: str) -> str:
    return sha256(text.encode()).hexdigest()


def sound() -> Rows:
    """A code that gave tokens, one of which was refreshed, and a device that got its own."""
    of = {"grant_id": "g", "client_id": "app"}
    used = {"consumed_at": 5, "successor_sealed": "sealed"}
    fresh = {"consumed_at": None, "successor_sealed": None}
    return {
        "grants": [
            {**of, "sid": "s", "revoked_at": None},
            {"grant_id": "h", "client_id": "tv", "sid": "s", "revoked_at": None},
        ],
        "codes": [{**of, "code_hash": digest("code-1"), "consumed_at": 4}],
        "access_tokens": [
            {**of, "token_hash": digest("access-1")},
            {"grant_id": "h", "client_id": "tv", "token_hash": digest("access-2")},
        ],
        "refresh_tokens": [
            {"grant_id": "g", "token_hash": digest("refresh-1"), "predecessor_hash": None, **used},
            {
                "grant_id": "g",
                "token_hash": digest("refresh-2"),
                "predecessor_hash": digest("refresh-1"),
                **fresh,
            },
        ],
        "device_codes": [
            {
                "grant_id": "h",
                "client_id": "tv",
                "device_hash": digest("device-1"),
                "decided_at": 3,
                "consumed_at": 4,
            }
        ],
        "interactions": [{"client_id": "app", "finished_at": 3}],
    }


def test_what_is_whole_is_not_complained_of() -> None:
    assert broken(sound(), TOLD) == []


def put(table: str, row: int, **values: Any) -> Callable[[Rows], Any]:
    return lambda rows: rows[table][row].update(values)


def drop(table: str, row: int) -> Callable[[Rows], Any]:
    return lambda rows: rows[table].pop(row)


@pytest.mark.parametrize(
    ("harm", "named"),
    [
        pytest.param(drop("grants", 0), "without a grant", id="no-grant"),
        pytest.param(put("grants", 0, client_id="tv"), "another client", id="grant-of-another"),
        pytest.param(put("codes", 0, consumed_at=None), "code that is unused", id="code-unused"),
        pytest.param(drop("refresh_tokens", 1), "with 0 successors", id="no-successor"),
        pytest.param(put("refresh_tokens", 0, consumed_at=None), "fresh token", id="two-fresh"),
        pytest.param(put("refresh_tokens", 0, successor_sealed=None), "sealed", id="not-sealed"),
        pytest.param(put("refresh_tokens", 1, predecessor_hash=None), "0 successors", id="unlinked"),
        pytest.param(put("device_codes", 0, decided_at=None), "nobody answered", id="undecided"),
        pytest.param(put("device_codes", 0, grant_id=None), "nobody allowed", id="not-allowed"),
        pytest.param(put("device_codes", 0, consumed_at=None), "code that is unused", id="device-unused"),
        pytest.param(drop("access_tokens", 1), "without tokens", id="device-without-tokens"),
        pytest.param(drop("access_tokens", 0), "not there", id="told-and-lost"),
        pytest.param(put("codes", 0, code_hash="code-1"), "stands in the database", id="in-the-clear"),
        pytest.param(
            lambda rows: rows["grants"].append(
                {"grant_id": "i", "client_id": "x", "sid": None, "revoked_at": None}
            ),
            "nothing was given for",
            id="grant-for-nothing",
        ),
        pytest.param(
            lambda rows: rows["interactions"].append({"client_id": "asks", "finished_at": 3}),
            "is finished that nothing",
            id="finished-for-nothing",
        ),
    ],
)
def test_each_half_is_named(harm: Callable[[Rows], Any], named: str) -> None:
    rows = sound()
    harm(rows)
    assert any(named in complaint for complaint in broken(rows, TOLD)), broken(rows, TOLD)
