"""Runs modules and says what came of them."""

import requests
from playwright.sync_api import Error as PlaywrightError

from tests.conformance.op.outcome import Failure, Outcome, Skipped
from tests.conformance.rp.plans import Entry
from tests.conformance.rp.provider import ProviderServer
from tests.conformance.rp.registry import MODULES
from tests.conformance.rp.run import Run
from tests.conformance.rp.screen import Windows
from tests.conformance.rp.target import RelyingParty


def run_module(
    entry: Entry,
    providers: ProviderServer,
    rp: RelyingParty,
    wait_seconds: float = 5,
    windows: Windows | None = None,
    provider: str = "",
) -> Outcome:
    """Run one module; whatever the relying party does, there is an outcome.

    Args:
        wait_seconds: how long nothing more may be asked after a refusal; 5 as the certification has it.
        windows: a Chromium for the modules that need one; None: each starts its own.
        provider: the name of the one that is played; "": the entry's. Where a module runs again with another
            name, what is still under way from the run before is not judged in this one.
    """

    def outcome(result: str, *notes: str) -> Outcome:
        return Outcome(entry.plan, "code", entry.module, result, notes)

    alias = providers.alias(provider or entry.alias, rp)
    alias.response_mode = entry.response_mode
    with Run.of(alias, rp, wait_seconds, windows) as run:
        try:
            MODULES[entry.module](run)
        except Failure as failure:
            return outcome("failed", str(failure))
        except requests.RequestException as error:
            return outcome("failed", f"the relying party did not answer: {error}")
        except PlaywrightError as error:
            return outcome("failed", f"the browser gave up: {error}")
        except Skipped as reason:
            return outcome("skipped", str(reason))
    return outcome("passed", *run.notes)
