"""An OpenID Provider and OAuth 2.0 authorization server."""
