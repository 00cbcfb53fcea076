"""The site `app.test`: the directory example behind an in-process gate, for gunicorn."""

import os

from examples.directory.app import create_app
from oidcgate import Gate
from tests.live.sites.names import lead_here

lead_here()
application = Gate.from_config(create_app(os.environ["DIRECTORY_USERS"]), os.environ["GATE_CONFIG"])
