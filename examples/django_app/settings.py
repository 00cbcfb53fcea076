"""The settings of the Django example. It has no database: who is there is the gate's to say."""

import secrets

SECRET_KEY = secrets.token_urlsafe(50)
ALLOWED_HOSTS = ["localhost", "127.0.0.1"]
ROOT_URLCONF = "examples.django_app.views"
MIDDLEWARE = ["django.middleware.common.CommonMiddleware"]
