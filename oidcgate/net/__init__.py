"""Outbound HTTP with address rules, caps and a total deadline; no OAuth."""
