"""A directory of people: an app with users of its own, which knows nothing of OpenID Connect."""
