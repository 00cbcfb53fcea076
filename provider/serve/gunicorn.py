"""The provider under gunicorn: threads for requests, processes for cores.

The arbiter reads the configuration and prepares the database once, before it forks; workers receive what was
parsed, and open the database for themselves. A reload (SIGHUP) with a wrong configuration changes nothing and
says so.
"""

import logging
import sys
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

from gunicorn.app.base import BaseApplication  # type: ignore[import-untyped]  # gunicorn has no types

from oidcgate.settings import SettingsError
from provider.app import Provider
from provider.store.engine import StoreUnavailable

_log = logging.getLogger("provider")

_BEHIND_A_PROXY: Final = 9000


class ProviderServer(BaseApplication):  # type: ignore[misc]  # so its class is Any
    """gunicorn's arbiter over one provider.

    Args:
        port: None: the port of an http issuer, which nobody but this server can answer at; else 9000.

    Raises:
        SettingsError: the configuration is wrong.
        StoreUnavailable: the database cannot be prepared.
    """

    def __init__(self, config: Path, *, host: str, port: int | None, workers: int, threads: int) -> None:
        # First, so that what is said while the configuration is read is seen too.
        _log_to_standard_error()
        self._config = config
        self._provider = Provider.from_config(config)
        if port is None:
            port = _port_of(self._provider.parts.settings.issuer)
        self._options: dict[str, Any] = {
            "bind": f"[{host}]:{port}" if ":" in host else f"{host}:{port}",
            "workers": workers,
            "threads": threads,
            "worker_class": "gthread",
            "proc_name": "oidcgate-provider",
            # No header of a client names another path or scheme: the issuer comes from the configuration.
            "forwarder_headers": "",
            "forwarded_allow_ips": "",
            "secure_scheme_headers": {},
            # An authorization request with hint and claims is longer than the default allows.
            "limit_request_line": 8190,
            "control_socket_disable": True,
            "keepalive": 5,
            # Notices of a worker that died are sent by the next one, whether it is asked anything or not.
            "post_worker_init": lambda _worker: self._provider.begin_background(),
            "worker_exit": lambda _arbiter, _worker: self._provider.end_background(),
        }
        super().__init__()

    def load_config(self) -> None:
        """Give gunicorn its options."""
        for name, value in self._options.items():
            self.cfg.set(name, value)

    def load(self) -> Provider:
        """The application a worker serves."""
        return self._provider

    def reload(self) -> None:
        """Read the configuration again; what is wrong stays outside."""
        try:
            self._provider = Provider.from_config(self._config)
        except (SettingsError, StoreUnavailable) as error:
            _log.error("the configuration was not reloaded:\n%s", error)
        self.callable = None
        super().reload()


def _port_of(issuer: str) -> int:
    parts = urlsplit(issuer)
    # An https issuer names the proxy in front, and this server speaks no TLS.
    return (parts.port or 80) if parts.scheme == "http" else _BEHIND_A_PROXY


def _log_to_standard_error() -> None:
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(logging.Formatter("%(message)s"))
    for name in ("oidcgate.audit", "provider"):
        logger = logging.getLogger(name)
        logger.setLevel(logging.INFO)
        logger.addHandler(handler)
        logger.propagate = False
