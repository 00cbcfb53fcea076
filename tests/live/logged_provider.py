"""`oidcgate-provider` as it is, over a store that keeps a log of its transactions.

Run as a program by `served_provider`; the store is `tests.provider.store_log`. Each process takes as many
connections as it has threads: as many as all have together, opened at once, are spread over all of them.
"""

import provider.build
import provider.serve.gunicorn
from provider.__main__ import main
from tests.provider.store_log import LoggedStore


class Spread(provider.serve.gunicorn.ProviderServer):
    """The server, of which no process takes the connections of another."""

    def load_config(self) -> None:
        super().load_config()
        self.cfg.set("worker_connections", self.cfg.threads)
        self.cfg.set("keepalive", 0)


if __name__ == "__main__":
    provider.build.Store = LoggedStore
    provider.serve.gunicorn.ProviderServer = Spread
    main()
