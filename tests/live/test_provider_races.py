"""200 connections over four provider processes use one code, or one refresh token, at the same moment."""

from pathlib import Path

import pytest

from provider.store.schema import access_tokens, grants, refresh_tokens
from tests.live.served_provider import ServedProvider, code_request, refresh_request, workers_of

pytestmark = [pytest.mark.live, pytest.mark.slow]

CONNECTIONS = 200


@pytest.mark.row("E-01", "P-04")
def test_one_code_is_redeemed_once_and_its_tokens_end_dead(tmp_path: Path) -> None:
    op = ServedProvider.configured(tmp_path)
    with op.served(workers=4) as server:
        assert len(workers_of(server)) == 4
        (code,) = op.codes(1)

        answers = op.ask_at_once(code_request(code), CONNECTIONS)

        won = [answer for answer in answers if answer.status == 200]
        lost = [(answer.status, answer.error) for answer in answers if answer.status != 200]
        assert len(won) == 1
        assert lost == [(400, "invalid_grant")] * (CONNECTIONS - 1)
        tokens = won[0].body
        assert op.userinfo(tokens["access_token"]).status == 401
        assert op.refresh(tokens["refresh_token"]).error == "invalid_grant"
    with op.provider() as made, made.parts.store.read() as conn:
        counted = [
            len(conn.execute(table.select()).all()) for table in (access_tokens, refresh_tokens, grants)
        ]
    assert counted == [1, 1, 1]


@pytest.mark.row("S-13", "P-06", "P-21", "P-23", "P-25")
def test_one_refresh_token_inside_the_grace_has_one_successor(tmp_path: Path) -> None:
    op = ServedProvider.configured(tmp_path, lifetimes="refresh_grace_seconds = 120")
    with op.served(workers=4):
        (code,) = op.codes(1)
        token = op.redeem(code).body["refresh_token"]

        answers = op.ask_at_once(refresh_request(token), CONNECTIONS)

        assert [answer.status for answer in answers] == [200] * CONNECTIONS
        pairs = {(answer.body["refresh_token"], answer.body["access_token"]) for answer in answers}
        assert len(pairs) == 1
        ((successor, access),) = pairs
        assert successor != token
        assert op.userinfo(access).status == 200
        assert op.refresh(successor).status == 200


@pytest.mark.row("S-13", "P-06", "P-22")
def test_one_refresh_token_without_a_grace_is_used_once_and_its_family_ends(tmp_path: Path) -> None:
    op = ServedProvider.configured(tmp_path, lifetimes="refresh_grace_seconds = 0")
    with op.served(workers=4):
        (code,) = op.codes(1)
        token = op.redeem(code).body["refresh_token"]

        answers = op.ask_at_once(refresh_request(token), CONNECTIONS)

        won = [answer for answer in answers if answer.status == 200]
        lost = [(answer.status, answer.error) for answer in answers if answer.status != 200]
        assert len(won) == 1
        assert lost == [(400, "invalid_grant")] * (CONNECTIONS - 1)
        assert op.userinfo(won[0].body["access_token"]).status == 401
        assert op.refresh(won[0].body["refresh_token"]).error == "invalid_grant"
