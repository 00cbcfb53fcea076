"""Before a provider serves: the database brought up to date, and compared with the configuration.

`provider.app` and the commands call it. What the parts are is `provider.build`.
"""

from collections.abc import Iterator
from pathlib import Path

from sqlalchemy import make_url

from oidcgate.settings import Problem, SettingsError
from provider.build import Parts
from provider.realm import Realm
from provider.store.migrations import upgrade


def prepare(parts: Parts, now: int) -> None:
    """Bring the database up to date, make missing keys, and compare it with the file. Safe to race.

    No connection is left open, so that a server may fork afterwards.

    Raises:
        SettingsError: an id is both in the file and in the database, the secret does not open the keys, a
            certificate is not valid now, or SQLite has no folder; in the last two nothing was touched.
        StoreUnavailable: the database is locked, full, read-only or gone.
    """
    wrong = [*certificate_problems(parts.realms, now), *database_file_problems(parts)]
    if wrong:
        raise SettingsError(wrong)
    try:
        upgrade(parts.store)
        for realm in parts.realms:
            parts.keys.ensure(parts.store, realm, now)
            parts.subjects.ensure(parts.store, realm, now)
            parts.encryption_keys.ensure(realm, now)
        problems = list(database_problems(parts))
    finally:
        parts.store.dispose()
    if problems:
        raise SettingsError(problems)


def database_file_problems(parts: Parts) -> Iterator[Problem]:
    """Why SQLite could not make its file: there is no folder for it, which its own message does not say."""
    url = make_url(parts.settings.database)
    if url.get_backend_name() == "sqlite":
        folder = Path(url.database or "").parent
        if not folder.is_dir():
            fix = "make it, or name a file in another one"
            yield Problem("database", str(folder), "is a folder that is not there", fix)


def database_problems(parts: Parts) -> Iterator[Problem]:
    """What in the database contradicts the configuration.

    Raises:
        StoreUnavailable: it cannot be read.
    """
    with parts.store.read() as conn:
        for realm in parts.realms:
            for taken in (*parts.clients.collisions(conn, realm), *parts.users.collisions(conn, realm)):
                yield taken._replace(key=in_realm(parts.realms, realm, taken.key))
            for kid in parts.keys.vault.unreadable(conn, realm):
                yield Problem(
                    "secret", None, f"does not open the key {kid} of realm {realm.id}",
                    "add the secret that was in use when the key was made as a further line",
                )  # fmt: skip
            if parts.subjects.unreadable(conn, realm):
                yield Problem(
                    "secret", None, f"does not open what pairwise subjects of realm {realm.id} are made with",
                    "add the secret that was in use at the last start as a further line",
                )  # fmt: skip
            other = parts.keys.pair_in_the_way(conn, realm)
            if other is not None:
                yield Problem(
                    in_realm(parts.realms, realm, "signing_algorithm"), realm.settings.signing_algorithm,
                    f"is not {other}, with which the pair of signing_cert has signed before",
                    "keep it, or make another pair",
                )  # fmt: skip


def certificate_problems(realms: tuple[Realm, ...], now: int) -> Iterator[Problem]:
    """What keeps the configured certificates of all realms from being used now."""
    for realm in realms:
        for problem in realm.settings.certificate_problems(now):
            yield problem._replace(key=in_realm(realms, realm, problem.key))


def in_realm(realms: tuple[Realm, ...], realm: Realm, key: str) -> str:
    """The key as the file has it: the realm `default` is the top of the file."""
    position = realms.index(realm)
    return key if position == 0 else f"realms[{position - 1}].{key}"
