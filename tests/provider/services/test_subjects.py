"""The secret that pairwise subjects are made with: one for each realm, sealed; on both databases."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import delete

from oidcgate.protocol.errors import ServerError
from oidcgate.settings import SettingsError
from oidcgate.web.sealing import KeyRing
from provider.services.subjects import Subjects
from provider.store import subject_secrets as rows
from provider.store.schema import subject_secrets
from tests.provider.processes import in_processes
from tests.provider.refusals import told
from tests.provider.world import ALICE, SECRET, World

NEWER = "Zr5LwXk2PdJm7CgHs0BfEa9Ui4Ro6qT3vN8y"
REALMS = [{"name": "second"}]


def sub(world: World, realm: int = 0, user_id: str = ALICE, **changes: Any) -> str:
    """Who somebody is to `app` in a realm, to a provider that has not looked before."""
    subjects = Subjects(KeyRing(world.provider.parts.settings.secret.reveal().split()))
    store = world.provider.parts.store
    with store.read() as conn:
        app = world.provider.parts.clients.find(conn, world.realm, "app")
        assert app is not None
        pairwise = replace(app, **{"subject_type": "pairwise", **changes})
        return subjects.of(conn, world.provider.parts.realms[realm], pairwise, user_id)


def test_a_person_is_the_same_at_each_start_and_another_in_each_realm(url: str) -> None:
    world = World.over(url, realms=REALMS)
    here, there = sub(world), sub(world, 1)
    assert len({here, there, sub(world, user_id="other"), ALICE}) == 4
    assert sub(world, redirect_uris=("https://app.example:8443/elsewhere",)) == here
    assert sub(world, redirect_uris=("https://other.example/cb",)) != here
    assert sub(world, subject_type="public") == ALICE
    world.provider.parts.store.dispose()
    again = World.over(url, realms=REALMS)
    assert (sub(again), sub(again, 1)) == (here, there)
    again.provider.parts.store.dispose()


def test_the_secret_is_sealed_and_stays_when_the_ring_is_rotated(url: str) -> None:
    world = World.over(url)
    before, (row,) = sub(world), world.rows("subject_secrets")
    world.provider.parts.store.dispose()
    rotated = World.over(url, secret=f"{NEWER}\n{SECRET}")
    (resealed,) = rotated.rows("subject_secrets")
    assert sub(rotated) == before
    assert resealed["sealed_secret"] != row["sealed_secret"]
    assert resealed["created_at"] == row["created_at"]
    # Sealed anew once, and not at each start.
    rotated.provider.parts.subjects.ensure(rotated.provider.parts.store, rotated.realm, rotated.now)
    assert rotated.rows("subject_secrets") == [resealed]
    opened = Subjects(KeyRing([NEWER]))
    with rotated.provider.parts.store.read() as conn:
        assert not opened.unreadable(conn, rotated.realm)
        assert Subjects(KeyRing([SECRET])).unreadable(conn, rotated.realm)
    rotated.provider.parts.store.dispose()


def test_a_secret_that_does_not_open_stops_the_start_and_is_left_alone(database: Path, world: World) -> None:
    before = world.rows("subject_secrets")
    with pytest.raises(SettingsError) as caught:
        World.over(database, secret=NEWER)
    assert any("pairwise subjects of realm default" in str(problem) for problem in told(caught.value))
    assert world.rows("subject_secrets") == before


def test_one_secret_under_concurrent_first_starts(tmp_path: Path) -> None:
    database = tmp_path / "first.db"
    assert in_processes(6, lambda: World.over(database)) == [0] * 6
    assert len(World.over(database).rows("subject_secrets")) == 1


def test_who_loses_the_race_keeps_what_the_winner_made(url: str) -> None:
    world = World.over(url)
    store = world.provider.parts.store
    (row,) = world.rows("subject_secrets")
    with store.begin() as conn:
        assert not rows.add(conn, world.realm.id, "another", world.now)
        assert not rows.reseal(conn, world.realm.id, "not this one", "another")
    assert world.rows("subject_secrets") == [row]
    store.dispose()


@pytest.mark.parametrize("reason", ["no-sector", "no-secret"])
def test_nobody_is_named_at_random(world: World, reason: str) -> None:
    if reason == "no-secret":
        with world.provider.parts.store.begin() as conn:
            conn.execute(delete(subject_secrets))
        with pytest.raises(ServerError):
            sub(world)
    else:
        with pytest.raises(ServerError):
            sub(world, redirect_uris=("https://a.example/cb", "https://b.example/cb"))


def test_one_realms_secret_does_not_open_in_another(url: str) -> None:
    world = World.over(url, realms=REALMS)
    rows = {row["realm_id"]: row["sealed_secret"] for row in world.rows("subject_secrets")}
    store = world.provider.parts.store
    with store.begin() as conn:
        table = subject_secrets
        conn.execute(table.update().where(table.c.realm_id == "second").values(sealed_secret=rows["default"]))
    with pytest.raises(ServerError):
        sub(world, 1)
    store.dispose()
