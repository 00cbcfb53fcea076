"""What the sidecar says of itself: at the start and after a reload, and where its log goes.

Here live the lines of the announcement, and the loggers of `oidcgate serve`. What is wrong with a
configuration is told by `SettingsError`; a line for each request is `access_log`'s.
"""

import contextlib
import logging
import sys
from collections.abc import Iterator

from oidcgate.gate.config import GateConfig
from oidcgate.gate.registration import registration_lines
from oidcgate.serve.checks import worker_number

__all__ = ["announcement", "log_to_standard_error", "quiet_gate"]


def announcement(config: GateConfig) -> list[str]:
    """What to say at the start: where it listens, what stands behind it, what has to be registered."""
    lines = [
        f"listening on                            {_shown(config.serve.bind)}",
        *(f"public URL                              {origin}" for origin in config.origins),
        *(
            f"upstream                                {place.upstream}"
            + (f" for {place.host or 'any host'}{place.path}" if len(config.proxy.places) > 1 else "")
            for place in config.proxy.places
        ),
        *registration_lines(config),
        f"workers                                 {worker_number(config)}, engine {config.proxy.engine}",
    ]
    if config.serve.metrics_bind:
        lines.append(f"metrics                                 http://{config.serve.metrics_bind}/metrics")
    return lines


def _shown(bind: str) -> str:
    return bind if bind.startswith("unix:") else f"http://{bind}"


@contextlib.contextmanager
def quiet_gate() -> Iterator[None]:
    """What composing a gate tells the log is in our announcement, once and not for each worker."""
    log = logging.getLogger("oidcgate.gate")
    level = log.level
    log.setLevel(logging.WARNING)
    try:
        yield
    finally:
        log.setLevel(level)


def log_to_standard_error() -> None:
    """Have what the sidecar's parts say come out, a line each, with who said it when; audit events are JSON
    and say that themselves."""
    for name, written in (
        ("oidcgate", "%(asctime)s [%(process)d] %(levelname)s %(name)s: %(message)s"),
        ("oidcgate.audit", "%(message)s"),
    ):
        logger = logging.getLogger(name)
        handler = logging.StreamHandler(sys.stderr)
        handler.setFormatter(logging.Formatter(written))
        logger.addHandler(handler)
        logger.setLevel(logging.INFO)
        logger.propagate = False
