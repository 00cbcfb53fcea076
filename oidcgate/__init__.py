"""OpenID Connect in front of any app."""
