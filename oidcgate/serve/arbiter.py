"""The sidecar under gunicorn's arbiter: what is read, checked and opened once, before and between workers.

Here live `Prepared`, which holds what all workers share, `SidecarServer`, which `oidcgate serve` runs, and
the few names that `conf/gunicorn.conf.py` needs to run the same. The configuration is parsed here and nowhere
else: workers inherit what was parsed, and open stores and connections for themselves. A reload (SIGHUP) with
a wrong configuration changes nothing and says everything that is wrong. What can be wrong is in `checks`, and
of addresses in `listening`.
"""

import contextlib
import logging
import os
import resource
import shutil
import signal
import socket
import sys
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from gunicorn import systemd  # type: ignore[import-untyped]  # gunicorn has no types
from gunicorn.app.base import BaseApplication  # type: ignore[import-untyped]  # as above
from gunicorn.arbiter import Arbiter  # type: ignore[import-untyped]  # as above

from oidcgate.gate.build import build, uninstalled
from oidcgate.gate.config import GateConfig, load_config
from oidcgate.proxy.http import Proxy
from oidcgate.serve.access_log import AccessLog
from oidcgate.serve.app import asgi_app, server_limits, wsgi_app
from oidcgate.serve.checks import SIDECAR_CHECKS, worker_number
from oidcgate.serve.listening import metrics_socket, taken
from oidcgate.serve.metrics import Board, Counters
from oidcgate.serve.sidecar import ENDINGS, Sidecar, worker_name
from oidcgate.settings import Check, Problem, SettingsError
from oidcgate.web.forwarded import parse_trusted_peers

if TYPE_CHECKING:
    from oidcgate.serve.threads import ThreadedSidecar

__all__ = [
    "Prepared",
    "SidecarServer",
    "announcement",
    "checked",
    "gunicorn_settings",
    "log_to_standard_error",
    "sidecar",
]

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
    config = load_config(path, env, checks=(*SIDECAR_CHECKS, uninstalled, *more))
    # For what only composing finds, and so that the log is told of known users who are not right.
    with _quiet():
        build(config)
    return config


def announcement(config: GateConfig) -> list[str]:
    """What to say at the start: where it listens, what stands behind it, what has to be registered."""
    lines = [
        f"listening on                            {_shown(config.serve.bind)}",
        f"public URL                              {config.public_url}",
        *(
            f"upstream                                {place.upstream}"
            + (f" for {place.host or 'any host'}{place.path}" if len(config.proxy.places) > 1 else "")
            for place in config.proxy.places
        ),
        f"redirect URI to register at the IdP:    {config.callback_url}",
        f"post-logout redirect URI to register:   {config.logged_out_url}",
        f"workers                                 {worker_number(config)}, engine {config.proxy.engine}",
    ]
    if config.serve.metrics_bind:
        lines.append(f"metrics                                 http://{config.serve.metrics_bind}/metrics")
    return lines


def _shown(bind: str) -> str:
    return bind if bind.startswith("unix:") else f"http://{bind}"


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
        self._metrics_socket: socket.socket | None = None
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
            self._metrics_socket = metrics_socket(self.config.serve.metrics_bind)
        except SettingsError as error:
            problems += error.problems
        if problems:
            self.close()
            raise SettingsError(problems)
        self._have_a_board()

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
            if config.serve.bind != self.config.serve.bind:
                raise SettingsError([_moved(self.config.serve.bind, config.serve.bind)])
            if config.serve.metrics_bind != self.config.serve.metrics_bind:
                opened = metrics_socket(config.serve.metrics_bind)
                if self._metrics_socket is not None:
                    self._metrics_socket.close()
                self._metrics_socket = opened
                self._have_a_board()
        except SettingsError as error:
            _log.error("the configuration was not reloaded:\n%s", error)
            return False
        self.config = config
        self._announce()
        return True

    def _announce(self) -> None:
        """Tell the log what is served, and what has to be registered for it."""
        for line in announcement(self.config):
            _log.info("%s", line)

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
            "backlog": 2048,
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
        with _quiet():
            parts = build(config)
        counters = Counters()
        log = AccessLog() if config.serve.access_log else None
        if config.proxy.engine == "wsgi":
            # Only here: the other engine has no need of it, and is to start fast.
            from oidcgate.serve.threads import ThreadedSidecar

            return ThreadedSidecar(
                wsgi_app(parts, counters),
                counters=counters,
                access_log=log,
                trusted=parse_trusted_peers(config.proxy.trusted_proxies),
                board=self._board,
                metrics_socket=self._metrics_socket,
            )
        app, proxy = asgi_app(parts, counters)
        return Sidecar(
            app=app,
            limits=server_limits(config),
            graceful_seconds=config.serve.graceful_seconds,
            access_log=log,
            trusted=parse_trusted_peers(config.proxy.trusted_proxies),
            counters=counters,
            gauges=lambda: _pool_sizes(proxy),
            board=self._board,
            metrics_socket=self._metrics_socket,
        )

    def _have_a_board(self) -> None:
        """Make what all workers write their numbers to: here, before any of them is there to make its own."""
        if self._board is None and self._metrics_socket is not None:
            self._board = Board(Path(tempfile.mkdtemp(prefix="oidcgate-metrics-")))

    def worker_ended(self, _arbiter: Any, worker: Any) -> None:
        """A worker is gone; what it counted stays."""
        if self._board is not None:
            self._board.end(worker_name(worker))

    def close(self, _arbiter: Any = None) -> None:
        """Leave nothing behind. Of all who inherited this, only the arbiter itself may tidy up."""
        if os.getpid() != self._pid:
            return
        if self._metrics_socket is not None:
            self._metrics_socket.close()
        if self._board is not None:
            shutil.rmtree(self._board.folder, ignore_errors=True)


class SidecarServer(BaseApplication):  # type: ignore[misc]  # so its class is Any
    """gunicorn's arbiter over one sidecar."""

    def __init__(self, path: Path, env: Mapping[str, str] | None = None) -> None:
        """Read the configuration.

        Args:
            path: `oidcgate.toml`.
            env: variables that override single keys; those of the process unless given.

        Raises:
            SettingsError: it is wrong.
        """
        self.prepared = Prepared(path, os.environ if env is None else env)
        super().__init__()

    def load_config(self) -> None:
        """Give gunicorn its options."""
        for name, value in self.prepared.options().items():
            self.cfg.set(name, value)

    def load(self) -> "Sidecar | ThreadedSidecar":
        """What a worker serves."""
        return self.prepared.served()

    def run(self) -> None:
        """Serve until told to end; does not return.

        Raises:
            SettingsError: an address is not to be had.
        """
        try:
            _Arbiter(self).run()
        finally:
            self.prepared.close()


class _Arbiter(Arbiter):  # type: ignore[misc]  # as above
    def spawn_worker(self) -> Any:
        """Start a worker that misses no signal.

        Before it has handlers of its own it has the arbiter's, which would only note the signal; and whoever
        told it to end would wait for as long as a worker may take.
        """
        before = signal.pthread_sigmask(signal.SIG_BLOCK, ENDINGS)
        try:
            return super().spawn_worker()
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)

    def reload(self) -> None:
        """Only a right configuration replaces workers: what is under way is not cut for a wrong one."""
        if self.app.prepared.renew():
            self.app.callable = None
            super().reload()


# For `gunicorn -c conf/gunicorn.conf.py`: the file is executed again at each reload, this module is not.
_prepared: list[Prepared] = []


def gunicorn_settings(path: Path | None = None, env: Mapping[str, str] | None = None) -> dict[str, Any]:
    """gunicorn's settings for the sidecar that `path` describes.

    Args:
        path: unless given, what OIDCGATE_CONFIG names, or `oidcgate.toml` in the working directory.
        env: variables that override single keys; those of the process unless given.

    At a reload with a wrong configuration the log says why, and workers are replaced by others of the same
    kind: gunicorn's own arbiter cannot be kept from it, `oidcgate serve` does without.
    """
    if _prepared:
        _prepared[0].renew()
    else:
        log_to_standard_error()
        env = os.environ if env is None else env
        path = path or Path(env.get("OIDCGATE_CONFIG") or "oidcgate.toml")
        with _ending_in_words():
            _prepared.append(Prepared(path, env))
    options = {"on_starting": _starting, "wsgi_app": "oidcgate.serve.arbiter:sidecar()"}
    return {**_prepared[0].options(), **options}


def _starting(arbiter: Any) -> None:
    with _ending_in_words():
        try:
            _prepared[0].starting(arbiter)
        except SettingsError:
            if arbiter.pidfile is not None:
                arbiter.pidfile.unlink()
            raise


@contextlib.contextmanager
def _ending_in_words() -> Iterator[None]:
    """gunicorn would print the way to here; what is wrong is all that matters."""
    try:
        yield
    except SettingsError as error:
        print(error, file=sys.stderr)
        raise SystemExit(1) from None


def sidecar() -> "Sidecar | ThreadedSidecar":
    """What a worker serves whose arbiter was set up by `gunicorn_settings`."""
    return _prepared[0].served()


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


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
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
