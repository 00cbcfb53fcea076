"""Two sites over TLS: `app.test` with the gate in front of an app, and `id.example` with the provider."""
