"""A Django project of three files, and the three lines that put the gate around it.

    pip install django gunicorn
    oidcgate init                              # writes oidcgate.toml into this folder; fill it in
    oidcgate check                             # until nothing is left to say
    gunicorn examples.django_app.wsgi:application

The lines are marked 1 to 3 in `views.py` and `wsgi.py`. An app that works with Django's own users adds
`django.contrib.auth.middleware.RemoteUserMiddleware`: the gate sets REMOTE_USER too.
"""
