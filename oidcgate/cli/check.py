"""`oidcgate check`: is this configuration right, and what has to be registered at the IdP?"""

import logging
import os
import time
from pathlib import Path
from typing import Final

import click

from oidcgate.cli.opening import config_option
from oidcgate.cli.problems import end_with, told, warn_of_unread
from oidcgate.directory.port import AmbiguousUser, DirectoryUnavailable, UserDirectory, answers_from_memory
from oidcgate.gate.build import build
from oidcgate.gate.comparison import differences
from oidcgate.gate.config import JWKS_PATH, GateConfig, load_config
from oidcgate.gate.directories import known_users_check
from oidcgate.gate.discovery import ProviderUnavailable
from oidcgate.gate.installed import uninstalled
from oidcgate.gate.local_users import entries_of
from oidcgate.gate.parts import GateParts
from oidcgate.gate.pins import unpinned_line
from oidcgate.gate.provider_settings import ProviderSettings
from oidcgate.gate.registration import registration_lines
from oidcgate.gate.rule_settings import RuleSettings
from oidcgate.gate.stores import is_elsewhere, state_doubts, store_check
from oidcgate.gate.unread import Use
from oidcgate.settings import Check, Problem
from oidcgate.storage.records import StoreFailure, StoreUnavailable

_NO_ANSWER: Final = frozenset({StoreFailure.UNREACHABLE, StoreFailure.LOCKED})


@click.command()
@config_option
@click.option("--offline", is_flag=True, help="Ask neither the IdP nor a directory or store.")
def check(path: Path, offline: bool) -> None:
    """List every problem of the configuration, or the URLs to register and what is in force.

    Exit status 1 when something is wrong with the configuration, or does not fit the IdP, the directory of
    known users or a store; one that does not answer is only reported, because the gate starts without it. The
    last line says which these are; `oidcgate doctor` takes each for a fault, and tries the client's secret.
    """
    # What is told below needs no second telling by the log.
    logging.getLogger("oidcgate").addHandler(logging.NullHandler())
    with told():
        checks = uninstalled, known_users_check(path), store_check(path, os.environ), *_of_a_sidecar()
        config = load_config(path, os.environ, checks=checks)
        parts = build(config)
    # Without an upstream it is for a gate in some process, around who knows what.
    warn_of_unread(config, Use(config.proxy.engine) if config.proxy.places else Use.AROUND_A_PROXY)
    if (warning := unpinned_line(config.users, len(config.identity_providers))) is not None:
        click.echo(f"warning: {warning}", err=True)
    _summary(config)
    away: list[str] = []
    if not offline:
        wrong = _stores_asked(parts, away)
        wrong += [line for provider in config.identity_providers for line in _compared(parts, provider, away)]
        end_with([*wrong, *(_asked(parts, away) or _locked_out(parts))])
    if offline:
        click.echo("The file is right; IdP, directory and stores were not asked.")
    elif away:
        click.echo(f"The file is right; not reached: {', '.join(away)}.")
    else:
        click.echo("The configuration is right.")
        # Asked nowhere above: the IdP would have to be told who asks.
        click.echo("Whether the IdP takes the client and its secret, `oidcgate doctor` tells.")


def _of_a_sidecar() -> list[Check]:
    """What `oidcgate serve` would refuse, where an upstream says that there is to be a sidecar."""
    checks: tuple[Check, ...]
    try:
        from oidcgate.serve.checks import SIDECAR_CHECKS as checks
    except ModuleNotFoundError as error:
        missing = (error.name or "").partition(".")[0]
        problem = Problem("proxy.upstream", None, f"needs {missing}", "pip install 'oidcgate[serve]'")
        checks = (lambda _: [problem],)
    return [_where_there_is_an_upstream(one) for one in checks]


def _where_there_is_an_upstream(check: Check) -> Check:
    return lambda config: check(config) if config.proxy.places else ()


def _summary(config: GateConfig) -> None:
    """What is in force, defaults included; no secret."""
    for line in registration_lines(config):
        click.echo(line)
    for provider in config.identity_providers:
        click.echo(f"provider {provider.name or provider.expected_issuer}")
        click.echo(f"  discovery     {provider.discovery_url}")
        click.echo(f"  client id     {provider.client_id}")
        if provider.hosts:
            click.echo(f"  hosts         {' '.join(provider.hosts)}")
        if provider.client_signing_keys is not None or provider.client_decryption_keys is not None:
            click.echo(f"  jwks_uri      {config.origins[0]}{JWKS_PATH}")
        click.echo(f"  scopes        {' '.join(provider.scopes)}")
        when = "at each sign-in" if provider.get_user_info else "only when the name is missing"
        click.echo(f"  userinfo      {when}")
        click.echo(f"  groups        {'fetched' if provider.fetch_groups else 'not fetched'}")
        unverified = "taken also" if provider.insecure_unverified_email else "left out"
        click.echo(f"  e-mail        {unverified} where the IdP says that it is not verified")
        if provider.hook is not None:
            failing = "stops the sign-in" if provider.hook_required else "is passed over"
            click.echo(f"  hook          {provider.hook}; when it fails it {failing}")
    click.echo(f"users           {config.users.source}, matched by {config.users.match}")
    whose = "whoever has the name" if config.users.insecure_unpinned else "who first had the name"
    click.echo(f"                let in: {whose}")
    if (local := config.break_glass) is not None:
        entries, _ = entries_of(local.users.reveal())
        names = ", ".join(name for name, _ in entries.values())
        click.echo(f"break glass     {names}: sessions of {local.session_minutes:g} min")
    session = config.session
    # No more of a store than its kind: a database address may hold a password.
    click.echo(f"sessions        {session.store.partition(':')[0]}, {len(session.secrets)} key(s)")
    click.echo(f"                keep {', '.join(config.kept_attributes) or 'no attributes'}")
    click.echo(f"                idle {session.idle_minutes:g} min, at most {session.absolute_minutes:g} min")
    if session.max_per_user:
        click.echo(f"                at most {session.max_per_user} of one user")
    if session.keep_tokens:
        handed_on = ", and the access token handed to the app" if config.forward.access_token else ""
        renewed = f"renewed {session.refresh_before_seconds} s before they end"
        click.echo(f"tokens          kept, {renewed}{handed_on}")
    else:
        click.echo("tokens          not kept, but for the ID token until the sign-out")
    click.echo(f"state           {config.state.store.partition(':')[0]}")
    for rule in config.rules:
        where = f" at {' '.join(rule.hosts)}" if rule.hosts else ""
        methods = " ".join(rule.methods) or "all methods"
        click.echo(f"rule            {methods} {rule.path}{where}: {_allowed(rule)}")
    click.echo("rule            everything else: known")


def _allowed(rule: RuleSettings) -> str:
    """Whom a rule lets pass, and what it asks of their sign-in."""
    asked = []
    if rule.provider:
        asked.append(f"at {rule.provider}")
    if rule.max_age_seconds is not None:
        asked.append(f"at most {rule.max_age_seconds} s ago")
    if rule.acr_values:
        asked.append(f"by acr {' or '.join(rule.acr_values)}")
    if rule.prompt:
        asked.append(f"with prompt {' '.join(rule.prompt)}")
    return f"{rule.allow}, signed in {', '.join(asked)}" if asked else rule.allow


def _stores_asked(parts: GateParts, away: list[str]) -> list[str]:
    """What is wrong with the stores that are no file of this machine's.

    What one of them might forget is a warning; one that does not answer is put into `away`.
    """
    config, now = parts.config, int(parts.clock())
    wrong = []

    def ask_state() -> None:
        parts.state.get("check", "check", now=now)
        for doubt in state_doubts(config, parts.state):
            click.echo(f"warning: {doubt}", err=True)

    for key, store, name, ask in (
        ("state.store", config.state.store, "the state store", ask_state),
        ("session.store", config.session.store, "the store of sessions", lambda: parts.sessions.probe(now)),
    ):
        if not is_elsewhere(store):
            continue
        try:
            ask()
        except StoreUnavailable as error:
            if error.reason in _NO_ANSWER:
                click.echo(f"{name} not asked: {error}", err=True)
                away.append(name)
            else:
                wrong.append(f"{key}: {error}")
    return wrong


def _asked(parts: GateParts, away: list[str]) -> list[Problem]:
    """What a directory that has to be asked says against its content or settings; a file was read before."""
    if answers_from_memory(parts.users):
        return []
    try:
        return parts.users.problems()
    except DirectoryUnavailable as error:
        if error.answered:
            fix = "correct [users], or what it says there"
            return [Problem("users.source", parts.config.users.source, f"cannot be used: {error}", fix)]
        click.echo(f"known users not asked: {error}", err=True)
        away.append("the directory of known users")
        return []


def _locked_out(parts: GateParts) -> list[Problem]:
    """Whom the directory would keep out on the day when they need the password that is listed for them."""
    local = parts.config.break_glass
    entries, _ = ({}, ()) if local is None else entries_of(local.users.reveal())
    return [
        Problem(
            "break_glass.users",
            name,
            "is no active user of the directory",
            "add them there, or take the line out",
        )
        for name, _ in entries.values()
        if _is_kept_out(parts.users, name)
    ]


def _is_kept_out(users: UserDirectory, name: str) -> bool:
    try:
        user = users.find(name, now=int(time.time()))
    except DirectoryUnavailable:
        return False
    except AmbiguousUser:
        return True
    return user is None or not user.active


def _compared(parts: GateParts, provider: ProviderSettings, away: list[str]) -> list[str]:
    """What the IdP says against this configuration; one that does not answer is put into `away`."""
    issuer = provider.expected_issuer
    parties = [
        there.relying_parties[issuer] for there in parts.at_each_host if issuer in there.relying_parties
    ]
    try:
        metadata = parties[0].discovery.metadata()
    except ProviderUnavailable as error:
        if error.answered:
            return [f"{provider.expected_issuer}: {error.detail}; correct provider.issuer, or the IdP"]
        click.echo(f"not compared with the IdP: {error.detail}", err=True)
        away.append(provider.expected_issuer)
        return []
    shares = any(party.shares_callback for party in parties)
    wrong = differences(provider, metadata, shares_callback=shares)
    return [f"{provider.expected_issuer}: {problem}" for problem in wrong]
