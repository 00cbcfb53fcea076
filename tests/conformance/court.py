"""The peer behind the lying proxy, and modules that are run against the two."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from tests.conformance import targets
from tests.conformance.lying_proxy import Lie, LyingProxy, lying_proxy
from tests.conformance.op.outcome import Outcome
from tests.conformance.op.plans import Entry
from tests.conformance.op.runner import run_module
from tests.conformance.op.target import REDIRECT_URIS, Target
from tests.support.servers import free_port
from tests.support.tls import Authority


@dataclass(frozen=True)
class Court:
    """The peer behind the proxy, and what has to be known of it."""

    proxy: LyingProxy
    target: Target
    wait: Callable[[float], None] = time.sleep

    def outcome(self, entry: Entry, lie: Lie) -> Outcome:
        """What comes of a module under a lie, with a browser that was never here."""
        self.proxy.tells(lie)
        browser = self.target.browser()
        try:
            return run_module(entry, self.target, browser, self.wait)
        finally:
            browser.close()
            # Whoever moved a clock sets it right.
            self.wait(0)


@contextmanager
def sitting(
    folder: Path, npm: Path, authority: Authority, *, registers: int | None = None
) -> Iterator[Court]:
    """Run the peer and the proxy until the block ends; `registers` is that of `targets.peer`."""
    port = free_port()
    issuer = f"https://localhost:{port}"
    with targets.peer(folder, npm, authority, behind=issuer, registers=registers) as (target, upstream):
        clients = [client.redirect_uri for client in (target.basic, target.post, target.second)]
        with lying_proxy(port, authority.issue("localhost"), upstream, [*clients, *REDIRECT_URIS]) as proxy:
            # A second use is no other after a second, and keys come at once.
            at_once = replace(target, reuse_wait_seconds=0, publishing_seconds=0)
            yield Court(proxy, at_once, targets.waiting(target) if registers else time.sleep)
