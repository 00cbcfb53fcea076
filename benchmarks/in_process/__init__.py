"""What a gate adds to one authenticated request, in CPU time, in the app's own process.

`python -m benchmarks.in_process` measures ours and, each in the same run, flask-oidc and mozilla-django-oidc.
The peers live in an environment of their own, which the run makes: they are never dependencies.
"""
