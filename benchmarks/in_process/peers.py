"""The peers, signed in without an identity provider: each with sessions of its own, and its bare twin.

Run in the peers' environment, `python -m benchmarks.in_process.peers APP SESSIONS ROUNDS`; prints a JSON list
of minimum and median. APP is a key of `APPS`.
"""

import json
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from benchmarks.in_process.measure import Application, cost

ISSUER = "https://id.example.com"
SECRET_KEY = "kX3v0Yt8qP2sZ5uW7xB1nD4fG6hJ9lM0"  # noqa: S105 (only for this benchmark)
PROFILE = {"preferred_username": "user", "name": "A User", "email": "user@example.com"}
# About as long as one that a provider issues as a JWT.
ACCESS_TOKEN = "e" * 600
REQUESTS = 2_000

# Django's routes; this module is its ROOT_URLCONF.
urlpatterns: list[Any] = []


def flask_bare(sessions: int) -> tuple[Application, list[str]]:
    """Flask alone."""
    import flask

    app = flask.Flask("bare")
    app.add_url_rule("/reports/2026", view_func=lambda: "hello", endpoint="reports")
    return app.wsgi_app, ["none=1"] * sessions


def flask_oidc(sessions: int) -> tuple[Application, list[str]]:
    """Flask with flask-oidc: all of it in a signed cookie."""
    import flask
    from flask_oidc import OpenIDConnect

    app = flask.Flask("guarded")
    client = {"client_id": "app", "client_secret": "client-secret", "issuer": ISSUER}
    app.config |= {"SECRET_KEY": SECRET_KEY, "OIDC_CLIENT_SECRETS": {"web": client}}
    oidc = OpenIDConnect(app)
    app.add_url_rule("/reports/2026", view_func=oidc.require_login(lambda: "hello"), endpoint="reports")
    # What discovery would have brought; without it the first request would fetch it.
    metadata = {"issuer": ISSUER, "token_endpoint": f"{ISSUER}/token", "_loaded_at": time.time()}
    oidc.oauth.oidc.server_metadata.update(metadata)
    signer = app.session_interface.get_signing_serializer(app)
    until = int(time.time()) + 86_400
    cookies = []
    for number in range(sessions):
        token = {"access_token": f"{ACCESS_TOKEN}{number}", "token_type": "Bearer", "expires_at": until}
        session = {"oidc_auth_token": token, "oidc_auth_profile": {**PROFILE, "sub": str(number)}}
        cookies.append(f"session={signer.dumps(session)}")
    return app.wsgi_app, cookies


def _django(middleware: list[str]) -> None:
    import django
    from django.conf import settings
    from django.core.management import call_command

    settings.configure(
        SECRET_KEY=SECRET_KEY,
        ALLOWED_HOSTS=["*"],
        ROOT_URLCONF=__name__,
        DATABASES={
            "default": {
                "ENGINE": "django.db.backends.sqlite3",
                "NAME": Path(tempfile.mkdtemp(), "db.sqlite3"),
                "CONN_MAX_AGE": None,
            }
        },
        DEFAULT_AUTO_FIELD="django.db.models.AutoField",
        INSTALLED_APPS=[
            "django.contrib.auth",
            "django.contrib.contenttypes",
            "django.contrib.sessions",
            "mozilla_django_oidc",
        ],
        MIDDLEWARE=middleware,
        AUTHENTICATION_BACKENDS=["mozilla_django_oidc.auth.OIDCAuthenticationBackend"],
        OIDC_RP_CLIENT_ID="app",
        OIDC_RP_CLIENT_SECRET="client-secret",  # noqa: S106 (only for this benchmark)
        OIDC_OP_AUTHORIZATION_ENDPOINT=f"{ISSUER}/authorize",
        OIDC_OP_TOKEN_ENDPOINT=f"{ISSUER}/token",
        OIDC_OP_USER_ENDPOINT=f"{ISSUER}/userinfo",
    )
    django.setup()
    call_command("migrate", verbosity=0)


def _hello(request: Any) -> Any:
    from django.http import HttpResponse

    return HttpResponse("hello", content_type="text/plain")


def django_bare(sessions: int) -> tuple[Application, list[str]]:
    """Django alone."""
    _django([])
    from django.core.handlers.wsgi import WSGIHandler
    from django.urls import path

    urlpatterns.append(path("reports/2026", _hello))
    return WSGIHandler(), ["none=1"] * sessions


def mozilla_django_oidc(sessions: int) -> tuple[Application, list[str]]:
    """Django with mozilla-django-oidc: sessions and users are rows, as Django keeps them by default."""
    _django(
        [
            "django.contrib.sessions.middleware.SessionMiddleware",
            "django.contrib.auth.middleware.AuthenticationMiddleware",
            "mozilla_django_oidc.middleware.SessionRefresh",
        ]
    )
    from datetime import timedelta

    from django.conf import settings
    from django.contrib.auth import get_user_model
    from django.contrib.auth.decorators import login_required
    from django.contrib.sessions.backends.db import SessionStore
    from django.contrib.sessions.models import Session
    from django.core.handlers.wsgi import WSGIHandler
    from django.urls import include, path
    from django.utils import timezone

    urlpatterns.append(path("reports/2026", login_required(_hello)))
    urlpatterns.append(path("oidc/", include("mozilla_django_oidc.urls")))
    users = get_user_model()
    users.objects.bulk_create([users(username=f"user {n}") for n in range(sessions)], batch_size=500)
    store, until = SessionStore(), timezone.now() + timedelta(days=1)
    rows = []
    for user in users.objects.all():
        content = {
            "_auth_user_id": str(user.pk),
            "_auth_user_backend": settings.AUTHENTICATION_BACKENDS[0],
            "_auth_user_hash": user.get_session_auth_hash(),
            "oidc_id_token_expiration": time.time() + 86_400,
        }
        rows.append(Session(f"{user.pk:032}", store.encode(content), until))
    Session.objects.bulk_create(rows, batch_size=300)
    return WSGIHandler(), [f"sessionid={row.session_key}" for row in rows]


APPS = {
    "flask": flask_bare,
    "flask-oidc": flask_oidc,
    "django": django_bare,
    "mozilla-django-oidc": mozilla_django_oidc,
}


def main(name: str, sessions: int, rounds: int) -> None:
    """Measure one app and print what it costs."""
    app, cookies = APPS[name](sessions)
    sent = (cookies * (REQUESTS // len(cookies) + 1))[: max(REQUESTS, sessions)]
    print(json.dumps(cost(app, lambda: sent, rounds=rounds)))


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))
