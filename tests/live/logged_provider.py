"""`oidcgate-provider` as it is, over a store that keeps a log of its transactions.

Run as a program by `served_provider`; the store is `tests.provider.store_log`.
"""

import provider.build
from provider.__main__ import main
from tests.provider.store_log import LoggedStore

if __name__ == "__main__":
    provider.build.Store = LoggedStore
    main()
