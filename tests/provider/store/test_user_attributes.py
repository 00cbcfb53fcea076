"""Attributes that the provider writes: one value for each person and name, whoever keeps the person."""

import pytest
from sqlalchemy import Connection

from provider.store.engine import Store
from provider.store.user_attributes import (
    find_attribute,
    find_attributes,
    put_attribute,
    remove_attribute,
)
from tests.provider.databases import one_after_the_other

MINE = ("r", "sub", "consents")
OTHERS = (("other", "sub", "consents"), ("r", "sub-2", "consents"), ("r", "sub", "aux_id_10"))


@pytest.mark.row("S-37")
def test_a_value_is_kept_replaced_and_removed(store: Store) -> None:
    with store.begin() as conn:
        assert find_attribute(conn, *MINE, to_write=True) is None
        assert not remove_attribute(conn, *MINE)
        put_attribute(conn, *MINE, "one")
        for number, name in enumerate(OTHERS):
            put_attribute(conn, *name, f"other-{number}")
        put_attribute(conn, *MINE, "two" * 20_000)
    with store.read() as conn:
        assert find_attribute(conn, *MINE) == "two" * 20_000
    with store.begin() as conn:
        assert remove_attribute(conn, *MINE)
        assert find_attribute(conn, *MINE) is None
        assert [find_attribute(conn, *name) for name in OTHERS] == ["other-0", "other-1", "other-2"]


@pytest.mark.row("A-13")
@pytest.mark.parametrize("before", [None, "0"], ids=["none-yet", "there"])
def test_who_is_going_to_write_has_it_alone(store: Store, before: str | None) -> None:
    if before is not None:
        with store.begin() as conn:
            put_attribute(conn, *MINE, before)

    def add(conn: Connection) -> None:
        found = find_attribute(conn, *MINE, to_write=True)
        put_attribute(conn, *MINE, f"{found or ''}+")

    one_after_the_other(store, add, add)
    with store.read() as conn:
        assert find_attribute(conn, *MINE) == f"{before or ''}++"


@pytest.mark.row("A-28")
def test_several_are_found_at_once(store: Store) -> None:
    with store.begin() as conn:
        for number, name in enumerate((MINE, *OTHERS)):
            put_attribute(conn, *name, str(number))
    with store.read() as conn:
        assert find_attributes(conn, "r", "sub", ["consents", "aux_id_10", "none"]) == {
            "consents": "0",
            "aux_id_10": "3",
        }
        assert find_attributes(conn, "r", "sub", []) == {}
