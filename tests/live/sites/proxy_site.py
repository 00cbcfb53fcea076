"""A reverse proxy without a gate, for `gunicorn tests.live.sites.proxy_site:application`."""

import os

from oidcgate import ReverseProxy
from oidcgate.proxy.routes import Limits

application = ReverseProxy(
    os.environ["UPSTREAM"],
    public_url="https://app.example.com",
    limits=Limits(connect_seconds=2, head_seconds=5, idle_seconds=5),
)
