"""Every parameter of what a browser comes to, spoiled in every way."""

from collections.abc import Collection, Iterator

import pytest

from tests.provider.bad_input.browser_doors import DOORS, GOOD, PUBLIC, SETTINGS, TARGETS
from tests.provider.bad_input.mutations import CANARY, FOR_DATABASES, MUTATIONS, mutations, spoilt
from tests.provider.bad_input.oracle import FINE, Door, Parameter, due
from tests.provider.bad_input.watching import Written, outcome_problem, problem_of, written
from tests.provider.sign_in.place import BYE, ISSUER, Browser, Page, World
from tests.support.portions import every
from tests.support.postgresql import Postgresql

# Thousands of requests: not for the everyday loop.
pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """One provider with two realms for all of this module."""
    made = World.make(tmp_path_factory.mktemp("bad"), **SETTINGS)
    yield made
    made.close()


@pytest.fixture(scope="module")
def on_postgresql(postgresql_server: Postgresql) -> Iterator[World]:
    """The same over PostgreSQL."""
    with postgresql_server.database() as name:
        made = World.over(postgresql_server.url(name), **SETTINGS)
        yield made
        made.close()


@pytest.fixture
def log(world: World) -> Iterator[Written]:
    with written(world.lines) as handler:
        yield handler


def send(browser: Browser, door: Door, text: str) -> Page:
    if door.method == "GET":
        return browser.step(f"{ISSUER}{door.path}?{text}")
    return browser.step(f"{ISSUER}{door.path}", text)


def fine_problem(door: Door, page: Page) -> str | None:
    """How the answer to a good request differs from what the door gives."""
    if door.id in GOOD:
        good = page.status == 303 and (page.location or "").startswith(GOOD[door.id])
    elif door.id == "authorize-signed-in":
        # Some parameters ask for a page of ours; what leads to the client is a code.
        ours = (page.location or "").startswith(f"{ISSUER}/login")
        good = page.status == 303 and (ours or "code" in page.answer)
    elif door.id == "authorize-hybrid":
        ours = (page.location or "").startswith(f"{ISSUER}/login")
        good = ours or (page.main_id == "page-form-post" and "id_token" in page.answer)
    elif door.id == "end":
        back = page.status == 303 and (page.location or "").startswith(BYE)
        good = back or page.main_id in ("page-logout", "page-logged-out")
    else:
        good = page.status == 200
    return None if good else f"{page.status} {page.main_id} {page.location} in place of a good answer"


CASES = [
    pytest.param(door, parameter, id=f"{door.id}-{parameter.name}")
    for door in DOORS
    for parameter in door.parameters
]
SECRETS = {
    "password",
    "new_password",
    "waiting",
    "csrf",
    "interaction",
    "otp",
    "id_token_hint",
    "nonce",
    "code_challenge",
    "user_code",
}


def spoil(world: World, log: Written, door: Door, parameter: Parameter, ids: Collection[str]) -> list[str]:
    """Spoil a parameter in these ways; returns what was not as it has to be."""
    make, problems = DOORS[door], []
    good = make(world)
    for mutation in mutations(good.strangers(parameter.name)):
        if ids and mutation.id not in ids:
            continue
        fields = list(good.fields)
        if parameter.name not in dict(fields):
            fields.append((parameter.name, parameter.sample))
        log.clear()
        page = send(good.browser, door, spoilt(fields, parameter.name, mutation))
        expected = due(door, parameter, mutation)
        said = problem_of(page.response, TARGETS, public=door.id in PUBLIC)
        said = said or outcome_problem(page.response, expected)
        if said is None and expected == FINE:
            said = fine_problem(door, page)
        if said is None:
            line = log.holding([*good.secrets, *([CANARY] if parameter.name in SECRETS else [])])
            said = None if line is None else f"written: {line}"
        if said is not None:
            problems.append(f"{mutation.id}: {said}")
        if page.status in (200, 303) and (door.method == "POST" or door.id == "end"):
            good = make(world)  # that one is over
    return problems


@pytest.mark.row("P-01", "P-02", "P-03", "P-11", "P-15", "E-25")
@pytest.mark.parametrize(("door", "parameter"), every(6, CASES))
def test_every_way_to_spoil_a_parameter(world: World, log: Written, door: Door, parameter: Parameter) -> None:
    problems = spoil(world, log, door, parameter, ())
    assert not problems, "\n".join(problems)


@pytest.mark.live
@pytest.mark.parametrize("door", every(3, (pytest.param(door, id=door.id) for door in DOORS)))
def test_postgresql_takes_nothing_amiss(on_postgresql: World, door: Door) -> None:
    with written(on_postgresql.lines) as log:
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
    assert cells > 5000
