"""Every parameter of the endpoints that clients call themselves, spoiled in every way."""

from collections.abc import Collection, Iterator
from pathlib import Path

import pytest
from werkzeug.test import TestResponse

from tests.provider.bad_input.client_doors import DOORS, SETTINGS
from tests.provider.bad_input.mutations import CANARY, FOR_DATABASES, MUTATIONS, mutations, spoilt
from tests.provider.bad_input.oracle import FINE, Door, Parameter, due
from tests.provider.bad_input.watching import Written, outcome_problem, problem_of, written
from tests.provider.world import World, copy_database
from tests.support.portions import every
from tests.support.postgresql import Postgresql

# Thousands of requests: not for the everyday loop.
pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def made(made_database: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """One provider with two realms for all of this module."""
    world = World.over(
        copy_database(made_database, tmp_path_factory.mktemp("bad") / "provider.db"), **SETTINGS
    )
    yield world
    world.provider.parts.store.dispose()


@pytest.fixture(scope="module")
def on_postgresql(postgresql_server: Postgresql) -> Iterator[World]:
    """The same over PostgreSQL."""
    with postgresql_server.database() as name:
        world = World.over(postgresql_server.url(name), **SETTINGS)
        yield world
        world.provider.parts.store.dispose()


@pytest.fixture
def log(made: World) -> Iterator[Written]:
    with written(made.events) as handler:
        yield handler


def send(world: World, door: Door, body: str, headers: dict[str, str]) -> TestResponse:
    return world.browser().open(
        door.path,
        method=door.method,
        data=body.encode("latin-1"),
        content_type="application/x-www-form-urlencoded",
        headers=headers,
    )


def is_fine(door: Door, response: TestResponse) -> bool:
    """Whether the answer is that of a good request; a device waits for a person who never comes."""
    waiting = response.status_code == 400 and response.get_json()["error"] in (
        "authorization_pending",
        "slow_down",
    )
    return waiting if door.id == "token-device" else response.status_code == 200


CASES = [
    pytest.param(door, parameter, id=f"{door.id}-{parameter.name}")
    for door in DOORS
    for parameter in door.parameters
]


SECRETS = {
    "code", "code_verifier", "client_secret", "client_assertion", "refresh_token", "password", "device_code",
    "token", "access_token",
}  # fmt: skip


def spoil(world: World, log: Written, door: Door, parameter: Parameter, ids: Collection[str]) -> list[str]:
    """Spoil a parameter in these ways; returns what was not as it has to be."""
    good, problems = DOORS[door](world), []
    strangers = good.strangers().get(parameter.name, {})
    for mutation in mutations(strangers):
        if ids and mutation.id not in ids:
            continue
        fields = {parameter.name: parameter.sample, **good.fields}
        log.clear()
        response = send(world, door, spoilt(list(fields.items()), parameter.name, mutation), good.headers)
        expected = due(door, parameter, mutation)
        said = problem_of(response, ()) or outcome_problem(response, expected)
        if said is None and expected == FINE and not is_fine(door, response):
            said = f"{response.status_code} {response.text[:100]} in place of a good answer"
        if said is None:
            secret = [CANARY, *strangers.values()] if parameter.name in SECRETS else []
            line = log.holding([*good.secrets, *secret])
            said = None if line is None else f"written: {line}"
        if said is not None:
            problems.append(f"{mutation.id}: {said}")
        if response.status_code == 200 or door.id == "token-code-assertion":
            good = DOORS[door](world)  # that one is used up
    return problems


@pytest.mark.row("P-01", "P-04", "P-05", "P-07", "P-15")
@pytest.mark.parametrize(("door", "parameter"), every(6, CASES))
def test_every_way_to_spoil_a_parameter(made: World, log: Written, door: Door, parameter: Parameter) -> None:
    problems = spoil(made, log, door, parameter, ())
    assert not problems, "\n".join(problems)


@pytest.mark.live
@pytest.mark.parametrize("door", every(3, (pytest.param(door, id=door.id) for door in DOORS)))
def test_postgresql_takes_nothing_amiss(on_postgresql: World, door: Door) -> None:
    with written(on_postgresql.events) as log:
        problems = [
            f"{parameter.name}: {problem}"
            for parameter in door.parameters
            for problem in spoil(on_postgresql, log, door, parameter, FOR_DATABASES)
        ]
    assert not problems, "\n".join(problems)


def test_the_number_of_cells(capsys: pytest.CaptureFixture[str]) -> None:
    cells = len(CASES) * len(MUTATIONS)
    with capsys.disabled():
        print(f" {cells} cells", end="")
    assert cells > 1800
