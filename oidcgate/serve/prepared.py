"""What the arbiter prepares: what is read, checked and opened once, before and between workers.

Here lives `Prepared`, which holds what all workers share. The configuration is parsed here and nowhere else:
workers inherit what was parsed, and open stores and connections for themselves. A reload (SIGHUP) with a
wrong configuration changes nothing and says everything that is wrong. What can be wrong is in `checks`, and
of addresses in `listening`; gunicorn's own classes are `arbiter`'s next door.
"""

import contextlib
import logging
import os
import resource
import shutil
import tempfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from gunicorn import systemd  # type: ignore[import-untyped]  # gunicorn has no types

from oidcgate.gate.build import build
from oidcgate.gate.config import GateConfig, load_config
from oidcgate.gate.front_settings import overlap
from oidcgate.gate.installed import uninstalled
from oidcgate.gate.stores import store_check
from oidcgate.gate.unread import Use, unread_line
from oidcgate.proxy.http import Proxy
from oidcgate.serve.access_log import AccessLog
from oidcgate.serve.announcing import announcement, quiet_gate
from oidcgate.serve.app import asgi_app, server_limits, wsgi_app
from oidcgate.serve.checks import SIDECAR_CHECKS, worker_number
from oidcgate.serve.listening import BACKLOG, metrics_socket, taken
from oidcgate.serve.metrics import Board
from oidcgate.serve.scraping import Scraped
from oidcgate.serve.sidecar import Reports, Sidecar, worker_name
from oidcgate.settings import Check, Problem, SettingsError
from oidcgate.web.forwarded import parse_trusted_peers

if TYPE_CHECKING:
    from oidcgate.serve.threads import ThreadedSidecar

__all__ = ["Prepared", "checked"]

_log = logging.getLogger("oidcgate.serve")

#: gunicorn gives workers so long beyond their own time to end, before it kills them.
_MERCY_SECONDS: Final = 5
#: A worker that gives no sign of life for so long is replaced.
_HANGING_SECONDS: Final = 30
#: gunicorn's own highest, with the engine `wsgi`.
_REQUEST_LINE_BYTES: Final = 8190
#: Listeners, stores, logs and the like of a worker.
_OTHER_FILES: Final = 100


def checked(path: Path, env: Mapping[str, str], more: Iterable[Check] = ()) -> GateConfig:
    """A configuration that a sidecar can run.

    Args:
        more: what else has to be right.

    Raises:
        SettingsError: with everything that is wrong.
    """
    config = load_config(path, env, checks=(*SIDECAR_CHECKS, uninstalled, store_check(path, env), *more))
    # For what only composing finds, and so that the log is told of known users who are not right.
    with quiet_gate():
        build(config)
    return config


class Prepared:
    """What the arbiter holds for its workers.

    Attributes:
        config: of now.
    """

    def __init__(self, path: Path, env: Mapping[str, str]) -> None:
        """Read the configuration; nothing is opened yet.

        Raises:
            SettingsError: it is wrong.
        """
        self._path = path
        self._env = env
        self.config = checked(path, env)
        self._scraped: Scraped | None = None
        self._board: Board | None = None
        self._pid = os.getpid()

    def starting(self, arbiter: Any) -> None:
        """gunicorn's hook: open what workers share, before gunicorn itself listens.

        Raises:
            SettingsError: an address is not to be had.
        """
        _allow_many_connections(self.config)
        problems = list(taken("serve.bind", _own_addresses(arbiter)))
        try:
            self._scraped = self._opened(self.config.serve.metrics_bind)
        except SettingsError as error:
            problems += error.problems
        if problems:
            self.close()
            raise SettingsError(problems)

    def ready(self, _arbiter: Any) -> None:
        """gunicorn's hook: it listens."""
        self._announce()

    def renew(self) -> bool:
        """Read the configuration again; a wrong one stays outside, and the log says why.

        Returns:
            Whether there is a new one.
        """
        try:
            config = checked(self._path, self._env)
            before = self.config.serve
            if config.serve.bind != before.bind:
                raise SettingsError([_moved(before.bind, config.serve.bind)])
            if config.serve.metrics_bind != before.metrics_bind:
                self._move_metrics(before.metrics_bind, config.serve.metrics_bind)
        except SettingsError as error:
            _log.error("the configuration was not reloaded:\n%s", error)
            return False
        self.config = config
        self._announce()
        return True

    def _announce(self) -> None:
        """Tell the log what is served, what has to be registered for it, and what has no effect."""
        for line in announcement(self.config):
            _log.info("%s", line)
        if (unread := unread_line(self.config, Use(self.config.proxy.engine))) is not None:
            _log.warning("%s", unread)

    def options(self) -> dict[str, Any]:
        """gunicorn's settings."""
        config = self.config
        serve = config.serve
        options: dict[str, Any] = {
            "bind": serve.bind,
            "workers": worker_number(config),
            "proc_name": "oidcgate",
            "keepalive": serve.keepalive_seconds,
            "timeout": _HANGING_SECONDS,
            "graceful_timeout": serve.graceful_seconds + _MERCY_SECONDS,
            "backlog": BACKLOG,
            # A Unix socket is for our user and group: gunicorn would let everybody on the machine in, and who
            # connects there may be believed by `trusted_proxies`.
            "umask": 0o117,
            # No header of a client names another path, scheme or peer.
            "forwarder_headers": "",
            "forwarded_allow_ips": "",
            "secure_scheme_headers": {},
            # A thread of the arbiter's own, which a fork would tear in two.
            "control_socket_disable": True,
            "accesslog": None,
            "on_starting": self.starting,
            "when_ready": self.ready,
            "child_exit": self.worker_ended,
            "on_exit": self.close,
        }
        if config.proxy.engine == "wsgi":
            from oidcgate.serve.threads import worker_begins, worker_ends

            limits = server_limits(config)
            options |= {
                "worker_class": "oidcgate.serve.threads.ThreadedWorker",
                "threads": serve.threads,
                "worker_connections": serve.worker_connections,
                "limit_request_line": _REQUEST_LINE_BYTES,
                "limit_request_fields": limits.head_fields,
                "limit_request_field_size": limits.head_bytes,
                "post_worker_init": worker_begins,
                "worker_exit": worker_ends,
            }
        else:
            options["worker_class"] = "oidcgate.serve.worker.SidecarWorker"
        return options

    def served(self) -> "Sidecar | ThreadedSidecar":
        """What a worker serves, made in the worker itself."""
        config = self.config
        with quiet_gate():
            parts = build(config)
        reports = Reports(
            access_log=AccessLog() if config.serve.access_log else None,
            trusted=parse_trusted_peers(config.proxy.trusted_proxies),
            scraped=self._scraped,
        )
        if config.proxy.engine == "wsgi":
            # Only here: the other engine has no need of it, and is to start fast.
            from oidcgate.serve.threads import ThreadedSidecar

            return ThreadedSidecar(wsgi_app(parts, reports.counters), reports)
        app, proxy = asgi_app(parts, reports.counters)
        return Sidecar(
            app=app,
            limits=server_limits(config),
            graceful_seconds=config.serve.graceful_seconds,
            reports=reports,
            gauges=lambda: _pool_sizes(proxy),
        )

    def _move_metrics(self, before: str, bind: str) -> None:
        if before and bind and overlap(before, bind):
            raise SettingsError([_metrics_in_the_way(before, bind)])
        opened = self._opened(bind)
        self._close_metrics()
        self._scraped = opened

    def _opened(self, bind: str) -> Scraped | None:
        """Where metrics are asked for, and what all workers write their numbers to.

        The latter is made here, before any of them is there to make its own, and stays until the end: those
        that were started with it write there until they are gone, and no counter ever goes back.
        """
        listening = metrics_socket(bind)
        if listening is None:
            return None
        if self._board is None:
            self._board = Board(Path(tempfile.mkdtemp(prefix="oidcgate-metrics-")))
        return Scraped(self._board, listening)

    def _close_metrics(self) -> None:
        if self._scraped is not None:
            self._scraped.listening.close()
            self._scraped = None

    def worker_ended(self, _arbiter: Any, worker: Any) -> None:
        """A worker is gone; what it counted stays."""
        if self._board is not None:
            self._board.end(worker_name(worker))

    def close(self, _arbiter: Any = None) -> None:
        """Leave nothing behind. Of all who inherited this, only the arbiter itself may tidy up."""
        if os.getpid() != self._pid:
            return
        self._close_metrics()
        if self._board is not None:
            shutil.rmtree(self._board.folder, ignore_errors=True)


def _pool_sizes(proxy: Proxy) -> dict[str, int]:
    connections, unused = proxy.pool_sizes()
    return {"upstream_connections": connections, "upstream_idle": unused}


def _own_addresses(arbiter: Any) -> list[Any]:
    """Where gunicorn is about to listen; nothing where it was given what listens already."""
    given = arbiter.LISTENERS or "GUNICORN_FD" in os.environ or systemd.listen_fds(unset_environment=False)
    if given or arbiter.cfg.reuse_port:
        return []
    # A number is a socket that whoever started gunicorn has opened.
    return [address for address in arbiter.cfg.address if not isinstance(address, int)]


def _moved(before: str, now: str) -> Problem:
    return Problem(
        "serve.bind",
        now,
        f"is not where this server listens ({before}), and a reload cannot change that",
        "restart it, or take the change back and reload again",
    )


def _metrics_in_the_way(before: str, now: str) -> Problem:
    return Problem(
        "serve.metrics_bind",
        now,
        f"meets the address where metrics are served until the old workers have ended ({before})",
        "choose another port, or restart it",
    )


def _allow_many_connections(config: GateConfig) -> None:
    """As many files as the system lets us have: each connection is one, and most systems start with 1024."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with contextlib.suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    allowed, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    needed = config.serve.worker_connections + config.proxy.max_connections + _OTHER_FILES
    if allowed != resource.RLIM_INFINITY and allowed < needed:
        _log.warning(
            "a worker may open %d files, and %d clients with %d connections to upstreams need %d; "
            "raise the limit (ulimit -n, LimitNOFILE), or lower serve.worker_connections",
            *(allowed, config.serve.worker_connections, config.proxy.max_connections, needed),
        )
