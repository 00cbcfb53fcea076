"""What a sign-in makes of claims: the context, what an operator's own code changes in it, and what is kept.

Here lives the order of it. What claims become is `context` (pure), what may be declared `context_settings`,
who signed in `login`, all next door.
"""

import logging
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import msgspec

from oidcgate.audit import Audit
from oidcgate.gate import events
from oidcgate.gate.config import GateConfig
from oidcgate.gate.context import Context, ContextRules, Way, methods_of
from oidcgate.gate.context_settings import schema_of
from oidcgate.gate.provider_settings import ProviderSettings
from oidcgate.gate.relying_party import SignedIn
from oidcgate.identity import Identity, read_only
from oidcgate.own_code import Limited, OwnCodeFailed, named
from oidcgate.settings import Problem

__all__ = ["Contexts", "HookFailed", "KeptContext", "hook_problems"]

_log = logging.getLogger("oidcgate.gate")


class HookFailed(Exception):
    """The operator's own code did not do its part, and nobody signs in without it."""


class KeptContext(NamedTuple):
    """What a session keeps of a sign-in.

    Attributes:
        claims: the context attributes that the configuration asks for.
        amr: the authentication methods, as the configuration has them said.
        ways: how all of the context came about.
    """

    claims: Mapping[str, Any]
    amr: tuple[str, ...]
    ways: tuple[Way, ...] = ()


class _Provider(NamedTuple):
    settings: ProviderSettings
    rules: ContextRules
    hook: Limited | None


class Contexts:
    """Makes contexts, by the rules of each provider."""

    def __init__(self, config: GateConfig, audit: Audit) -> None:
        """Compile the rules and import the hooks.

        Raises:
            OwnCodeFailed: a hook cannot be imported; `hook_problems` tells before.
        """
        providers = config.identity_providers
        schema = schema_of(config.context, groups=any(entry.fetch_groups for entry in providers))
        self._audit = audit
        self._kept = config.kept_attributes
        self._providers = {
            entry.expected_issuer: _Provider(entry, ContextRules(entry, schema), _hook(entry))
            for entry in providers
        }

    def of(self, signed_in: SignedIn, who: Identity) -> KeptContext:
        """What to keep of a sign-in.

        Args:
            signed_in: what the IdP proved.
            who: the person, as the session will name them; without claims and methods.

        Raises:
            HookFailed: the hook did, and is required.
        """
        proof = signed_in.id_token
        context, amr = self.read(signed_in.claims, proof.all, msgspec.structs.replace(who, amr=proof.amr))
        if faults := context.faults():
            self._audit.emit(events.AttributesLeftOut(who.user_name, who.issuer, faults))
        return self.keep(self.hooked(context, msgspec.structs.replace(who, amr=amr)), amr)

    def read(
        self, claims: Mapping[str, Any], id_token: Mapping[str, Any], who: Identity
    ) -> tuple[Context, tuple[str, ...]]:
        """The context before any hook, and the authentication methods.

        Args:
            claims: what the IdP says, merged.
            id_token: what of it the ID token says.
            who: the person, with `acr` and `amr` as the IdP says them.
        """
        provider = self._providers[who.issuer]
        settings = provider.settings
        amr = methods_of(settings.amr, settings.acr_methods, who.acr, who.amr)
        return provider.rules.apply(claims, id_token), amr

    def keep(self, context: Context, amr: tuple[str, ...]) -> KeptContext:
        """What a session keeps of a context."""
        attributes = context.attributes
        claims = {name: attributes[name] for name in self._kept if name in attributes}
        return KeptContext(claims, amr, context.ways)

    def hooked(self, context: Context, who: Identity) -> Context:
        """The context as the provider's hook leaves it; as it is where there is none.

        Raises:
            HookFailed: the hook did, and is required.
        """
        provider = self._providers[who.issuer]
        if provider.hook is None:
            return context
        try:
            # Read-only: what it changes is what it returns, and nothing else.
            changes = provider.hook(msgspec.structs.replace(who, claims=read_only(context.attributes)))
            changes = {} if changes is None else changes
            if (wrong := provider.rules.change_problem(changes)) is not None:
                raise OwnCodeFailed(wrong)
        except OwnCodeFailed as failed:
            if failed.__cause__ is not None:
                # For whoever wrote it. Its text stays out: it may quote what the hook was given.
                _log.error("%s: %s", provider.settings.hook, _place_of(failed.__cause__))
            if provider.settings.hook_required:
                raise HookFailed(f"{provider.settings.hook}: {failed}") from failed
            self._audit.emit(events.HookPassedOver(who.user_name, who.issuer, str(failed)))
            return context
        return context.changed(changes, provider.rules.schema)


def hook_problems(config: GateConfig) -> Iterator[Problem]:
    """Hooks that cannot be imported: at the first sign-in it would be too late to say."""
    for key, provider in config.named_providers():
        try:
            _hook(provider)
        except OwnCodeFailed as error:
            fix = "install it where oidcgate is, or set PYTHONPATH to its folder"
            yield Problem(f"{key}.hook", provider.hook, f"is not there: {error}", fix)


def _hook(provider: ProviderSettings) -> Limited | None:
    if provider.hook is None:
        return None
    return Limited(named(provider.hook), seconds=provider.hook_seconds)


def _place_of(error: BaseException) -> str:
    """Where an exception was raised, without what it says."""
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    where = "" if trace is None else f" in {trace.tb_frame.f_code.co_filename}, line {trace.tb_lineno}"
    return f"{type(error).__name__}{where}"
