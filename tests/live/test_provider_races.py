"""100 connections over four provider processes use one code, or one refresh token, at the same moment.

On both databases. The store's own log shows that they did. The small version is
`tests/provider/services/test_races.py`.
"""

from pathlib import Path
from typing import Any

import pytest

from provider.store.schema import access_tokens, grants, refresh_tokens
from tests.live.served_provider import Answer, ServedProvider, code_request, refresh_request
from tests.provider.store_log import at_once, read_log

pytestmark = [pytest.mark.live, pytest.mark.slow]

CONNECTIONS, WORKERS = 100, 4


def used_at_once(op: ServedProvider, request: bytes, log: Path) -> tuple[list[Any], list[Any]]:
    """What those got who were answered 200, and the other answers; all uses overlapped."""
    answers = op.ask_at_once(request, CONNECTIONS)
    transactions = read_log(log)
    assert len(transactions) == CONNECTIONS
    under_way, processes = at_once(transactions)
    assert under_way >= CONNECTIONS // 4
    assert processes == WORKERS
    won = [answer.body for answer in answers if answer.status == 200]
    return won, [_error(answer) for answer in answers if answer.status != 200]


def _error(answer: Answer) -> tuple[int, str | None]:
    return answer.status, answer.error


@pytest.mark.row("E-01", "P-04")
def test_one_code_is_redeemed_once_and_its_tokens_end_dead(tmp_path: Path, empty_url: str) -> None:
    op = ServedProvider.configured(tmp_path, database=empty_url)
    with op.served_with_store_log(workers=WORKERS, threads=CONNECTIONS // WORKERS) as log:
        (code,) = op.codes(1)

        won, lost = used_at_once(op, code_request(code), log)

        assert len(won) == 1
        assert lost == [(400, "invalid_grant")] * (CONNECTIONS - 1)
        assert op.userinfo(won[0]["access_token"]).status == 401
        assert op.refresh(won[0]["refresh_token"]).error == "invalid_grant"
    with op.provider() as made, made.parts.store.read() as conn:
        counted = [
            len(conn.execute(table.select()).all()) for table in (access_tokens, refresh_tokens, grants)
        ]
    assert counted == [1, 1, 1]


@pytest.mark.row("S-13", "P-06", "P-21", "P-23", "P-25")
def test_one_refresh_token_inside_the_grace_has_one_successor(tmp_path: Path, empty_url: str) -> None:
    op = ServedProvider.configured(tmp_path, lifetimes="refresh_grace_seconds = 120", database=empty_url)
    with op.served_with_store_log(workers=WORKERS, threads=CONNECTIONS // WORKERS) as log:
        (code,) = op.codes(1)
        token = op.redeem(code).body["refresh_token"]
        log.write_bytes(b"")

        won, lost = used_at_once(op, refresh_request(token), log)

        assert lost == []
        ((successor, access),) = {(body["refresh_token"], body["access_token"]) for body in won}
        assert successor != token
        assert op.userinfo(access).status == 200
        assert op.refresh(successor).status == 200


@pytest.mark.row("S-13", "P-06", "P-22")
def test_one_refresh_token_without_a_grace_is_used_once_and_its_family_ends(
    tmp_path: Path, empty_url: str
) -> None:
    op = ServedProvider.configured(tmp_path, lifetimes="refresh_grace_seconds = 0", database=empty_url)
    with op.served_with_store_log(workers=WORKERS, threads=CONNECTIONS // WORKERS) as log:
        (code,) = op.codes(1)
        token = op.redeem(code).body["refresh_token"]
        log.write_bytes(b"")

        won, lost = used_at_once(op, refresh_request(token), log)

        assert len(won) == 1
        assert lost == [(400, "invalid_grant")] * (CONNECTIONS - 1)
        assert op.userinfo(won[0]["access_token"]).status == 401
        assert op.refresh(won[0]["refresh_token"]).error == "invalid_grant"
