"""Which organization it is to be: a table, and what holds for every one."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from provider.catalogue import Catalogue
from provider.catalogue_settings import OrganizationSettings
from provider.services.organizations import Choice, Settled, Stranger, memberships, organization_of

CATALOGUE = Catalogue.of((), (), (), [OrganizationSettings(org_id=org_id) for org_id in ("acme", "globex")])


@pytest.mark.row("E-18")
@pytest.mark.parametrize(
    ("asked", "of", "chosen", "expected"),
    [
        pytest.param(None, (), None, Settled(None), id="none"),
        pytest.param(None, ("acme",), None, Settled("acme"), id="one-silently"),
        pytest.param(None, ("acme", "globex"), None, Choice(("acme", "globex")), id="several"),
        pytest.param(None, ("acme", "globex"), "globex", Settled("globex"), id="chosen"),
        pytest.param(None, ("acme", "globex"), "gone", Choice(("acme", "globex")), id="chosen-and-left"),
        pytest.param(None, ("acme",), "globex", Settled("acme"), id="chosen-and-left-one"),
        pytest.param("globex", ("acme", "globex"), None, Settled("globex"), id="asked-for"),
        pytest.param("globex", ("acme", "globex"), "acme", Settled("globex"), id="asked-for-counts"),
        pytest.param("globex", ("acme",), None, Stranger(), id="not-a-member"),
        pytest.param("globex", (), None, Stranger(), id="a-member-of-none"),
        pytest.param("", ("acme",), None, Stranger(), id="empty"),
    ],
)
def test_organization(asked: str | None, of: tuple[str, ...], chosen: str | None, expected: object) -> None:
    assert organization_of(asked, of, chosen) == expected


IDS = st.sampled_from(["acme", "globex", "initech", ""])


@pytest.mark.row("E-18")
@given(st.none() | IDS, st.lists(IDS, unique=True), st.none() | IDS)
def test_never_for_one_that_the_person_does_not_belong_to(
    asked: str | None, of: list[str], chosen: str | None
) -> None:
    task = organization_of(asked, of, chosen)
    if isinstance(task, Settled) and task.org_id is not None:
        assert task.org_id in of
        assert asked in (None, task.org_id)
    if isinstance(task, Settled) and task.org_id is None:
        assert not of
    if isinstance(task, Choice):
        assert len(task.org_ids) > 1
        assert organization_of(asked, of, task.org_ids[-1]) == Settled(task.org_ids[-1])


@pytest.mark.row("E-18")
@pytest.mark.parametrize(
    ("value", "expected"),
    [
        pytest.param(["globex", "acme"], ("acme", "globex"), id="in-the-order-of-the-configuration"),
        pytest.param(["acme", "acme"], ("acme",), id="twice"),
        pytest.param(["acme", "unknown", 7, None, {}], ("acme",), id="unknown-ones-are-nobodys"),
        pytest.param("acme", (), id="no-list"),
        pytest.param(None, (), id="nothing"),
    ],
)
def test_memberships(value: Any, expected: tuple[str, ...]) -> None:
    assert memberships(CATALOGUE, {"organizations": value}) == expected
