"""The site `id.example`: our provider, for gunicorn."""

import os

from provider import Provider
from tests.live.sites.names import lead_here

lead_here()
application = Provider.from_config(os.environ["PROVIDER_CONFIG"])
