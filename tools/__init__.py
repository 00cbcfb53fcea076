"""What a checkout needs to run and to prove itself: the environment, the checks, the generated tables.

Lives here: `bootstrap` (makes .venv on a bare machine), `packages` (Debian packages of the tests),
`verify` (make check, test-fast, test), `trace` (rows against passed tests), `libraries` (who imports
what). Not part of the distribution: the products are the packages oidcgate and provider next door.
"""
