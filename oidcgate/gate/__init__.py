"""The gate: from a request to a decision, and from a decision to an answer.

Lives here: rules, sessions, the decision, the relying party, the routes under /.oidcgate/. Not the
protocol's messages (`oidcgate.protocol`), nor where records are kept (`oidcgate.storage`). `build` is
the one place that knows all parts.
"""
