"""`oidcgate-provider keys …`: keys that sign, and those that request objects are encrypted to.

What their states mean is `provider.services.keyring`, of the latter `encryption_keys`.
"""

from pathlib import Path

import click

from oidcgate.jose.jwe import KEY_ALGORITHMS
from oidcgate.jose.keys import SIGNING_ALGORITHMS
from provider.cli.opening import opened, realm_option
from provider.instants import shown
from provider.services.keyring import PUBLISH_AHEAD_SECONDS, RotationPending, RotationRefused
from provider.store.keys import KeyRow, list_keys


@click.group()
def keys() -> None:
    """Keys that sign tokens, and keys to encrypt to."""


@keys.command("list")
@realm_option
@click.pass_obj
def list_(config: Path, realm_id: str) -> None:
    """List the keys, the oldest first."""
    with opened(config, realm_id) as (parts, realm):
        parts.keys.settle(parts.store, realm, int(parts.clock()))
        with parts.store.read() as conn:
            rows = [row for use in ("sig", "enc") for row in list_keys(conn, realm.id, use)]
    for row in rows:
        click.echo("\t".join((row.kid, row.alg, row.state, _when(row))))


@keys.command()
@click.option(
    "--now", "at_once", is_flag=True, help="Sign with it at once; verifiers have to fetch the keys again."
)
@click.option(
    "--algorithm",
    type=click.Choice((*SIGNING_ALGORITHMS, *KEY_ALGORITHMS)),
    help="Only the key of this algorithm.  [default: of each; keys of algorithms no longer offered retire]",
)
@realm_option
@click.pass_obj
def rotate(config: Path, at_once: bool, algorithm: str | None, realm_id: str) -> None:
    """Publish new keys, which sign from tomorrow on.

    Those to encrypt to take the place of the ones before at once, which still open for a day.
    """
    with opened(config, realm_id) as (parts, realm):
        now = int(parts.clock())
        encrypting = realm.settings.request_objects.encryption_algorithms
        algorithms = (*realm.settings.key_algorithms, *encrypting) if algorithm is None else (algorithm,)
        refused: list[RotationRefused] = []
        said: list[str] = []
        retired: list[str] = []
        for alg in algorithms:
            try:
                if alg in KEY_ALGORITHMS:
                    parts.encryption_keys.rotate(realm, alg, now)
                    said.append(f"{alg}: a new key takes the place of the one before, which opens for a day")
                else:
                    row = parts.keys.rotate(parts.store, realm, alg, now, at_once=at_once)
                    said.append(f"{alg}: {_said(row)}")
            except RotationRefused as error:
                refused.append(error)
        if algorithm is None:
            retired += parts.keys.retire_unoffered(parts.store, realm, now)
            retired += parts.encryption_keys.retire_unoffered(realm, now)
        if refused and not said and not retired:
            raise next((error for error in refused if isinstance(error, RotationPending)), refused[0])
    for line in said:
        click.echo(line)
    for refusal in refused:
        click.echo(str(refusal))
    for kid in retired:
        click.echo(f"{kid} is retired: its algorithm is no longer offered")


def _said(row: KeyRow) -> str:
    if row.state == "current":
        return f"{row.kid} signs from now on; the key before it stays published until its tokens have ended"
    hours = PUBLISH_AHEAD_SECONDS // 3600
    return f"{row.kid} is published and signs in {hours} hours, at {shown(row.not_before)}"


def _when(row: KeyRow) -> str:
    if row.state == "retired":
        until = shown(row.published_until or 0)
        return f"published until {until}" if row.use == "sig" else f"opens until {until}"
    if row.use == "enc":
        return f"since {shown(row.not_before)}"
    return f"{'signs from' if row.state == 'next' else 'since'} {shown(row.not_before)}"
