"""What a sidecar cannot do with a configuration that is right for a gate, and who finds it.

Here live the rules that `oidcgate serve` and `oidcgate check` add to those of the settings themselves; each
is told beside everything else that is wrong. Whether an address can be had is `listening`'s, at the start;
what becomes of a right configuration is `app` and `prepared` next door.
"""

import contextlib
import os
import ssl
from collections.abc import Iterator
from typing import Final
from urllib.parse import urlsplit

from oidcgate.gate.config import GateConfig
from oidcgate.gate.front_settings import UpstreamSettings
from oidcgate.loopback import is_loopback_host
from oidcgate.proxy.dial import file_faults
from oidcgate.proxy.pages import SAMPLES, proxy_pages
from oidcgate.proxy.routes import Public, Route, RouteTable, Unusable, Upstream
from oidcgate.settings import Check, Problem
from oidcgate.web.own_pages import own_page_faults

__all__ = ["SIDECAR_CHECKS", "worker_number"]


def worker_number(config: GateConfig) -> int:
    """How many processes serve: as many as there are cores for us, unless configured."""
    return config.serve.workers or len(os.sched_getaffinity(0))


def _an_upstream(config: GateConfig) -> Iterator[Problem]:
    if not config.proxy.places:
        yield Problem("proxy.upstream", None, "is missing", "name the app, like http://127.0.0.1:8081")


def _places(config: GateConfig) -> Iterator[tuple[str, UpstreamSettings]]:
    """All upstreams, each with the key under which the file has it."""
    for index, place in enumerate(config.proxy.places):
        yield "proxy" if config.proxy.upstream is not None else f"proxy.upstreams[{index}]", place


def _own_page(config: GateConfig) -> Iterator[Problem]:
    """What is wrong with an own template of the page that says that the app is down."""
    folder = config.pages.folder
    if folder is None:
        return
    for fault in own_page_faults(proxy_pages(folder), SAMPLES):
        if fault.startswith(tuple(SAMPLES)):
            # All else of the folder is told with the gate's pages.
            yield Problem("pages.folder", str(folder), fault, "mend it, or take the file away")


def _usable_upstreams(config: GateConfig) -> Iterator[Problem]:
    made: list[Route] = []
    for key, place in _places(config):
        # A wrong place is told by the settings themselves.
        with contextlib.suppress(Unusable):
            made.append(place.route)
            for problem in _certificate_problems(made[-1].upstream):
                yield problem._replace(key=f"{key}.{problem.key}")
    try:
        if made:
            RouteTable(made, Public.from_url(config.origins[0]))
    except ValueError as error:
        yield Problem("proxy.upstreams", None, "contradict each other", str(error))


#: Of files that can be read and are of no use: what to say, and what to do.
_OF_NO_USE: Final = {
    "ca_file": ("holds no certificate", "name a file of certificates in PEM"),
    "client_cert_file": (
        "and its key do not fit, or one of them is no PEM or needs a pass phrase",
        "name a certificate and its own key, both in PEM and without pass phrase",
    ),
}


def _certificate_problems(upstream: Upstream) -> Iterator[Problem]:
    """What is wrong inside files that are there; of those that are not, the settings say so."""
    files = (upstream.ca_file, upstream.client_cert_file, upstream.client_key_file)
    if not all(file is None or file.is_file() for file in files):
        return
    for field, error in file_faults(upstream):
        what, fix = _OF_NO_USE[field]
        if not isinstance(error, ssl.SSLError):
            what = f"cannot be read: {error.strerror}"
        yield Problem(field, str(getattr(upstream, field)), what, fix)


def _another_than_itself(config: GateConfig) -> Iterator[Problem]:
    for key, place in _places(config):
        if _is_here(place.upstream, config.serve.bind):
            yield Problem(
                f"{key}.upstream",
                place.upstream,
                "is where the sidecar itself listens",
                "name the port of the app",
            )


def _is_here(upstream: str, bind: str) -> bool:
    """Whether a request to this upstream would come back to us, for ever."""
    if upstream.startswith("unix:"):
        return upstream == bind
    if bind.startswith("unix:"):
        return False
    asked, bound = urlsplit(upstream), urlsplit(f"//{bind}")
    if (asked.port or (443 if asked.scheme == "https" else 80)) != bound.port:
        return False
    host, listening = asked.hostname or "", bound.hostname or ""
    everywhere = listening in ("0.0.0.0", "::")  # noqa: S104 (compared, not bound)
    return host == listening or (is_loopback_host(host) and (everywhere or is_loopback_host(listening)))


def _stores_for_all_workers(config: GateConfig) -> Iterator[Problem]:
    workers = worker_number(config)
    for key, store in (("session.store", config.session.store), ("state.store", config.state.store)):
        if store == "memory" and workers > 1:
            yield Problem(
                key,
                store,
                f"is for one process, and there are {workers}",
                "choose another, or serve.workers = 1",
            )


#: For `load_config`.
SIDECAR_CHECKS: Final[tuple[Check, ...]] = (
    _an_upstream,
    _own_page,
    _usable_upstreams,
    _another_than_itself,
    _stores_for_all_workers,
)
