"""A Flask app, and the three lines that put the gate around it.

pip install flask gunicorn
oidcgate init                              # writes oidcgate.toml into this folder; fill it in
oidcgate check                             # until nothing is left to say
gunicorn examples.flask_app:app
"""

from typing import Any

from flask import Flask, request

from oidcgate import Gate  # 1

app = Flask(__name__)


@app.get("/")
def home() -> dict[str, Any]:
    """Say who is there: nobody gets this far unknown."""
    identity = request.environ["oidcgate.identity"]  # 2
    return {"hello": identity.user_name, "path": request.path}


# Around `wsgi_app`, not around `app`: `flask run`, the test client and extensions keep working.
app.wsgi_app = Gate.from_config(app.wsgi_app, "oidcgate.toml")  # type: ignore[method-assign]  # 3
