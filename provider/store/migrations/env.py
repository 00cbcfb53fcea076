"""Run by Alembic: applies changes over the connection and in the transaction that `upgrade` handed over."""

from alembic import context

from provider.store.schema import metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    # SQLite cannot change most of a table in place: Alembic copies it.
    render_as_batch=True,
)
with context.begin_transaction():
    context.run_migrations()
