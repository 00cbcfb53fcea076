"""The peer behind the lying proxy, and modules that are run against the two."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from tests.conformance import targets
from tests.conformance.lying_proxy import Lie, LyingProxy, lying_proxy
from tests.conformance.op.outcome import Outcome
from tests.conformance.op.plans import Entry
from tests.conformance.op.runner import run_module
from tests.conformance.op.screen import Windows
from tests.conformance.op.target import Target
from tests.support.servers import free_port
from tests.support.tls import Authority


@dataclass(frozen=True)
class Court:
    """The peer behind the proxy, and what has to be known of it."""

    proxy: LyingProxy
    target: Target
    windows: Windows
    wait: Callable[[float], None] = time.sleep

    def outcome(self, entry: Entry, lie: Lie) -> Outcome:
        """What comes of a module under a lie, with a browser that was never here."""
        self.proxy.tells(lie)
        browser = self.target.browser()
        try:
            return run_module(entry, self.target, browser, self.wait, self.windows)
        finally:
            browser.close()
            # Whoever moved a clock sets it right.
            self.wait(0)


@contextmanager
def sitting(
    folder: Path, npm: Path, authority: Authority, *, registers: int | None = None, framed: bool = False
) -> Iterator[Court]:
    """Run the peer and the proxy until the block ends; the rest is that of `targets.peer`."""
    port = free_port()
    issuer = f"https://localhost:{port}"
    started = targets.peer(folder, npm, authority, behind=issuer, registers=registers, framed=framed)
    with started as (target, upstream):
        client = target.backchannel
        told = None if client is None else (client.backchannel_logout_uri, str(authority.certificate))
        with lying_proxy(port, authority.issue("localhost"), upstream, target.uris, told) as proxy:
            # A second use is no other after a second; keys come at once, and so do notices.
            at_once = replace(target, reuse_wait_seconds=0, publishing_seconds=0, notice_seconds=0.5)
            windows = Windows(at_once)
            wait = targets.waiting(partial(targets.set_peer_ahead, target)) if registers else time.sleep
            try:
                yield Court(proxy, at_once, windows, wait)
            finally:
                windows.close()
