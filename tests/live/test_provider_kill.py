"""SIGKILL at random: whole servers end while clients use them, start again over the same database, and are
held to what they told. On both databases; request by request it is `test_flow_kills`.
"""

import os
import random
import signal
import threading
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from tests.live.conftest import BUILD
from tests.live.figures import Figures
from tests.live.kill_invariants import Told, broken
from tests.live.served_provider import Answer, ServedProvider

pytestmark = [pytest.mark.live, pytest.mark.slow]

CLIENTS, CODES = 6, 60
#: Rounds of the full size.
FULL = 25
#: So long at most, however many rounds were meant.
SECONDS = 240


@dataclass
class Holding:
    """What a client was told last, and what it asked since without having heard."""

    tokens: dict[str, Any]
    asked: str = ""
    given_back: bool = False


@dataclass
class Clients:
    """Everybody who uses the provider until it is gone."""

    op: ServedProvider
    held: dict[str, Holding] = field(default_factory=dict)
    everything: list[dict[str, Any]] = field(default_factory=list)

    def use(self, names: list[str]) -> None:
        """Redeem each code, or send the password for every third; refresh; give every fourth back."""
        for number, name in enumerate(names):
            answer = self.op.password() if number % 3 == 2 else self.op.redeem(name)
            if answer.status != 200:
                return
            held = self.held[name] = self._told(answer)
            held.asked = "refresh"
            answer = self.op.refresh(held.tokens["refresh_token"])
            if answer.status != 200:
                return
            held = self.held[name] = self._told(answer)
            if number % 4 == 3:
                held.asked = "revoke"
                if self.op.revoke(held.tokens["refresh_token"]).status != 200:
                    return
                held.asked, held.given_back = "", True

    def _told(self, answer: Answer) -> Holding:
        self.everything.append(dict(answer.body))
        return Holding(dict(answer.body))

    @property
    def told(self) -> Told:
        access = tuple(tokens["access_token"] for tokens in self.everything)
        refresh = tuple(tokens["refresh_token"] for tokens in self.everything)
        return Told(access_tokens=access, refresh_tokens=refresh)

    def account_for(self, name: str, *, code: bool) -> str:
        """What became of one; all that was told holds, all that was asked can be asked again."""
        held = self.held.get(name)
        if held is None:
            if not code:
                return "nothing told"
            # Good once, or used with nobody having seen what it gave.
            first = self.op.redeem(name).status
            assert first in (200, 400)
            assert self.op.redeem(name).status == 400
            return "nothing told, unused" if first == 200 else "nothing told, used"
        access, refresh = held.tokens["access_token"], held.tokens["refresh_token"]
        if held.asked == "revoke":
            assert self.op.revoke(refresh).status == 200
        if held.given_back or held.asked == "revoke":
            assert self.op.userinfo(access).status == 401
            assert self.op.refresh(refresh).status == 400
            return "given back"
        assert self.op.userinfo(access).status == 200
        # Also one whose answer got lost.
        assert self.op.refresh(refresh).status == 200
        if code:
            assert self.op.redeem(name).status == 400
            assert self.op.userinfo(access).status == 401
        return "refresh asked" if held.asked else "told"


@pytest.mark.row("E-01", "S-13", "P-04", "P-06")
@pytest.mark.parametrize("rounds", [1, pytest.param(FULL, marks=pytest.mark.heavy)])
def test_at_random_under_load(tmp_path: Path, empty_url: str, rounds: int) -> None:
    chance = random.Random(20)  # noqa: S311 (how many, nothing secret)
    op = ServedProvider.configured(tmp_path, lifetimes="refresh_grace_seconds = 300", database=empty_url)
    began, kills, outcomes = time.monotonic(), 0, Counter[str]()
    while kills < rounds and time.monotonic() < began + SECONDS:
        codes = op.codes(CODES)
        clients = Clients(op)
        # Waits for what was told, not for a time: some are done, some under way, some have not begun.
        kill_among(op, clients, codes, chance.randrange(5, CODES))
        kills += 1
        assert broken(op.rows(), clients.told) == []
        with op.served(workers=2):
            for position, name in enumerate(codes):
                by_password = (position // CLIENTS) % 3 == 2
                outcomes[clients.account_for(name, code=not by_password)] += 1
    if rounds == FULL:
        figures = Figures(BUILD / "figures.jsonl", empty_url.partition(":")[0].partition("+")[0])
        seconds = round(time.monotonic() - began)
        figures.note("kills: at random under load", kills=kills, seconds=seconds, outcomes=outcomes)


def kill_among(op: ServedProvider, clients: Clients, codes: list[str], enough: int) -> None:
    """Serve, let the clients use it, and kill every process of it when enough was told."""
    with op.served(workers=2) as server:
        threads = [threading.Thread(target=clients.use, args=[codes[n::CLIENTS]]) for n in range(CLIENTS)]
        for thread in threads:
            thread.start()
        deadline = time.monotonic() + 60
        while len(clients.everything) < enough:
            assert time.monotonic() < deadline, server.log_text()
        os.killpg(server.process.pid, signal.SIGKILL)
        server.process.wait(10)
        for thread in threads:
            thread.join(60)
