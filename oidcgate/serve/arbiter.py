"""The sidecar under gunicorn's arbiter: the server that `oidcgate serve` runs, and gunicorn's own command.

Here live `SidecarServer` with the arbiter that it needs, and the few names by which `conf/gunicorn.conf.py`
runs the same. What is prepared for workers, and anew at a reload, is `prepared`'s next door.
"""

import contextlib
import os
import signal
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gunicorn.app.base import BaseApplication  # type: ignore[import-untyped]  # gunicorn has no types
from gunicorn.arbiter import Arbiter  # type: ignore[import-untyped]  # as above

from oidcgate.serve.announcing import log_to_standard_error
from oidcgate.serve.prepared import Prepared
from oidcgate.serve.sidecar import ENDINGS, Sidecar
from oidcgate.settings import SettingsError

if TYPE_CHECKING:
    from oidcgate.serve.threads import ThreadedSidecar

__all__ = ["SidecarServer", "gunicorn_settings", "sidecar"]


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
