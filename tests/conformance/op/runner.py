"""Runs modules and says what came of them."""

import time
from collections.abc import Callable

import requests

from tests.conformance.op.browser import Browser
from tests.conformance.op.outcome import Failure, Outcome, Skipped
from tests.conformance.op.plans import Entry
from tests.conformance.op.registry import MODULES
from tests.conformance.op.run import Run
from tests.conformance.op.screen import Windows
from tests.conformance.op.target import Target


def run_module(
    entry: Entry,
    target: Target,
    browser: Browser,
    wait: Callable[[float], None] = time.sleep,
    windows: Windows | None = None,
) -> Outcome:
    """Run one module with the person's browser; whatever the provider does, there is an outcome.

    Args:
        windows: a Chromium for the modules that need one; None: each starts its own.
    """

    def outcome(result: str, *notes: str) -> Outcome:
        return Outcome(entry.plan, entry.variant.response_type, entry.module, result, notes)

    run = Run(target, entry.variant, browser, wait, windows)
    try:
        MODULES[entry.module](run)
    except Failure as failure:
        return outcome("failed", str(failure), *run.warnings)
    except requests.RequestException as error:
        return outcome("failed", f"the provider did not answer: {error}", *run.warnings)
    except Skipped as reason:
        return outcome("warning", *run.warnings) if run.warnings else outcome("skipped", str(reason))
    finally:
        run.close()
    return outcome("warning", *run.warnings) if run.warnings else outcome("passed")
