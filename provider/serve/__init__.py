"""Running the provider under gunicorn. The application itself is `provider.app`."""
