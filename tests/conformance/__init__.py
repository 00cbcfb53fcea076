"""Black-box modules named after the certification's, the providers they are run against, and lies."""
