"""The site `id.example`: our provider, for gunicorn."""

import os

from provider import Provider

application = Provider.from_config(os.environ["PROVIDER_CONFIG"])
