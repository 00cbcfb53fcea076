"""The WSGI entry of the Django example, as `django-admin startproject` writes it, and the gate."""

import os

from django.core.wsgi import get_wsgi_application

from oidcgate import Gate  # 2

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "examples.django_app.settings")

application = Gate.from_config(get_wsgi_application(), "oidcgate.toml")  # 3
