"""The account pages over a store of people of one's own."""

from dataclasses import replace
from pathlib import Path

import pytest
from sqlalchemy import Connection

from provider.realm import Realm
from provider.services.my_pages import MyPage
from provider.store.users import User
from tests.provider.sign_in.my_pages import (
    NEW,
    at,
    change,
    done,
    inside,
)
from tests.provider.sign_in.place import QUICK, World


class Elsewhere:
    """A store of one's own with dora in it, which keeps no passwords."""

    def __init__(self) -> None:
        self.dora = User("sub-dora", "dora", "dora", QUICK.hash("demo-dora"), True, {"name": "Dora"}, 0)

    def find(self, _conn: Connection, _realm: Realm, user_id: str) -> User | None:
        return self.dora if user_id == self.dora.user_id else None

    def find_by_name(self, _conn: Connection, _realm: Realm, name: str) -> User | None:
        return self.dora if name == "dora" else None


class Keeping(Elsewhere):
    """One that keeps them."""

    def keeps_password_of(self, _realm: Realm, user: User) -> bool:
        return user.user_id == self.dora.user_id

    def keep_password(self, _conn: Connection, _realm: Realm, _user: User, password_hash: str) -> None:
        self.dora = replace(self.dora, password_hash=password_hash)


@pytest.mark.row("A-28")
def test_a_store_that_keeps_no_passwords_has_people_who_change_them_elsewhere(tmp_path: Path) -> None:
    world = World.make(tmp_path, user_store=Elsewhere())
    browser, page = inside(world, MyPage.PASSWORD, "dora")
    assert "not kept where it could be changed here" in page.text
    assert "Dora" in at(browser, MyPage.PROFILE).text
    world.close()


@pytest.mark.row("A-28")
def test_a_store_that_keeps_passwords_is_given_new_ones(tmp_path: Path) -> None:
    world = World.make(tmp_path, user_store=Keeping())
    browser, page = inside(world, MyPage.PASSWORD, "dora")
    assert done(change(browser, page)) == "Your password is changed."
    fresh = world.browser()
    assert fresh.sign_in(at(fresh), "dora").status == 403
    assert fresh.sign_in(at(fresh), "dora", NEW).main_id == "page-my-overview"
    world.close()


@pytest.mark.row("A-28", "S-22")
def test_what_people_write_is_kept_here_whoever_keeps_the_rest(tmp_path: Path) -> None:
    world = World.make(tmp_path, user_store=Elsewhere(), properties=[{"name": "nickname", "writable": True}])
    browser, page = inside(world, MyPage.PROFILE, "dora")
    browser.submit(page, **{"of-nickname": "Do"})
    assert 'value="Do"' in at(browser, MyPage.PROFILE).text
    world.close()
