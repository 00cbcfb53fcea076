"""What settings ask for has to be installed: said at start, for at the first request it would be too late."""

from collections.abc import Iterator
from importlib.util import find_spec

from oidcgate.gate.config import GateConfig
from oidcgate.gate.context_sign_in import hook_problems
from oidcgate.gate.directories import directory_uninstalled
from oidcgate.gate.page_settings import page_problems
from oidcgate.gate.stores import stores_uninstalled
from oidcgate.settings import Problem

__all__ = ["uninstalled"]


def uninstalled(config: GateConfig) -> Iterator[Problem]:
    """Libraries, hooks, templates and texts that a configuration names and that cannot be had."""
    yield from stores_uninstalled(config)
    yield from hook_problems(config)
    yield from directory_uninstalled(config.users)
    yield from page_problems(config.pages)
    if config.break_glass is not None and find_spec("argon2") is None:
        yield Problem("break_glass", None, "needs argon2-cffi", "pip install 'oidcgate[break-glass]'")
