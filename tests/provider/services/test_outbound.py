"""Asking the servers of clients: for how many threads at once, and under whose rules."""

import threading
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from oidcgate.net.fetch import Fetcher, FetchError, FetchFailure
from provider.services.outbound import WAITING_PER_CLIENT, Outbound, outbound_of
from tests.provider.asserting import KeyServer, claims, key, presenting, public, sign
from tests.provider.registering import CALLBACK, manage, register, registered, registering
from tests.provider.services.test_sectors import PAIRWISE, SECTOR, WANTED, SectorServer
from tests.provider.world import World, error_of

KEYED = {"token_endpoint_auth_method": "private_key_jwt", "jwks_uri": "https://slow.example/keys"}
BUSY = (503, "temporarily_unavailable")
#: A port where nobody is.
NOBODY = "127.0.0.1:1"


def outbound(world: World) -> Outbound:
    return world.provider.parts.sectors.outbound


def busy(world: World, who: str, threads: int = WAITING_PER_CLIENT) -> ExitStack:
    """So many threads that wait for the servers of somebody."""
    held = ExitStack()
    for _ in range(threads):
        assert held.enter_context(outbound(world).one_more(who))
    return held


def invented(world: World, client_id: str) -> Any:
    """What a stranger can send in a client's name, and the answer to it."""
    assertion = sign(claims(world, client_id), key("RSA", "x"), "RS256")
    form = {"grant_type": "authorization_code", "code": "x", "redirect_uri": CALLBACK}
    return world.token({**form, **presenting(assertion)}, auth=None)


@pytest.mark.row("P-09")
def test_a_client_whose_keys_hang_holds_few_threads_whatever_their_address_is(database: Path) -> None:
    server = KeyServer(public(key("RSA")))
    entered, leave = threading.Event(), threading.Event()
    server.while_asked += [entered.set, lambda: leave.wait(30)]
    world = registering(database, fetcher=server.fetcher())
    slow, other = registered(world, **KEYED), registered(world, **KEYED)
    first = threading.Thread(target=invented, args=(world, slow["client_id"]))
    first.start()
    assert entered.wait(30)
    with busy(world, slow["client_id"], WAITING_PER_CLIENT - 1):
        response = invented(world, slow["client_id"])
        assert error_of(response) == BUSY
        assert response.headers["Retry-After"] == "1"
        moved = {"client_id": slow["client_id"], "redirect_uris": [CALLBACK], **KEYED, "jwks_uri": SECTOR}
        assert manage(world, "PUT", slow, moved).status_code == 200
        assert error_of(invented(world, slow["client_id"])) == BUSY
        assert server.calls == 1
    leave.set()
    first.join()
    assert not outbound(world).waiting
    with busy(world, slow["client_id"]):
        assert error_of(invented(world, other["client_id"])) == (401, "invalid_client")


def test_what_is_remembered_is_not_waited_for(database: Path) -> None:
    server = KeyServer(public(key("RSA", "x")))
    world = registering(database, fetcher=server.fetcher())
    client_id = registered(world, **KEYED)["client_id"]
    assert error_of(invented(world, client_id)) == (400, "invalid_grant")
    with busy(world, client_id):
        # The assertion was used: the keys said whose it is.
        assert error_of(invented(world, client_id)) == (401, "invalid_client")
    assert server.calls == 1


@pytest.mark.row("P-09")
def test_a_sector_that_hangs_holds_few_threads(database: Path) -> None:
    server = SectorServer()
    world = registering(database, fetcher=server.fetcher(), **PAIRWISE)
    told = registered(world)
    with busy(world, told["client_id"]):
        response = manage(world, "PUT", told, {"client_id": told["client_id"], **WANTED})
        assert error_of(response) == BUSY
    assert server.asked == []


def why(fetcher: Fetcher, url: str) -> FetchFailure:
    with pytest.raises(FetchError) as caught:
        fetcher.get_json(url)
    return caught.value.reason


@pytest.mark.row("P-09")
@pytest.mark.parametrize("listed", ["allow_networks", "registered_allow_networks"])
def test_inner_networks_are_listed_for_each_kind_of_client(database: Path, listed: str) -> None:
    world = registering(database, outbound={listed: ["127.0.0.0/8"]})
    asking = outbound(world)
    allowed, refused = (
        (asking.operators, asking.strangers)
        if listed == "allow_networks"
        else (asking.strangers, asking.operators)
    )
    assert why(refused, f"https://{NOBODY}/x") is FetchFailure.REFUSED_ADDRESS
    assert why(allowed, f"https://{NOBODY}/x") is not FetchFailure.REFUSED_ADDRESS


@pytest.mark.row("P-09")
@pytest.mark.parametrize("theirs", [False, True])
def test_this_machine_is_not_for_strangers_without_the_switch_of_registration(
    database: Path, theirs: bool
) -> None:
    world = registering(
        database,
        insecure_allow_http_loopback=True,
        registration={"insecure_allow_http_loopback": theirs},
    )
    asking = outbound_of(world.provider.parts.settings)
    assert why(asking.operators, f"http://{NOBODY}/x") is not FetchFailure.REFUSED_URL
    assert (why(asking.strangers, f"http://{NOBODY}/x") is FetchFailure.REFUSED_URL) is not theirs


@pytest.mark.row("P-09")
def test_a_client_that_registered_itself_has_nothing_of_the_operators_networks(database: Path) -> None:
    world = registering(database, outbound={"allow_networks": ["10.0.0.0/8"]}, **PAIRWISE)
    inner = "https://10.0.0.1/x"
    assert register(world, {**WANTED, "sector_identifier_uri": inner}).status_code == 400
    assert "refused_address" in world.events[-1]
    client_id = registered(world, **{**KEYED, "jwks_uri": inner})["client_id"]
    assert error_of(invented(world, client_id)) == (401, "invalid_client")
    assert "refused_address" in world.events[-1]
