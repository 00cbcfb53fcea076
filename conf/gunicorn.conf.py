"""The sidecar under gunicorn's own command: `gunicorn -c gunicorn.conf.py`.

Everything that can be set is in `oidcgate.toml`, or in the file that OIDCGATE_CONFIG names: `oidcgate serve`
reads the same. Options of the gunicorn command come on top, such as `--pid FILE`.
"""

from oidcgate.serve.arbiter import gunicorn_settings

globals().update(gunicorn_settings())
