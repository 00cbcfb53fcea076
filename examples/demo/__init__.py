"""`python -m examples.demo`: a provider and a directory app behind a gate, to sign in to."""
