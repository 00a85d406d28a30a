"""Alembic's entry: it migrates over the connection, and in the transaction, that it is given."""

from __future__ import annotations

from alembic import context

from modellix_jupyter.ledger.tables import metadata

context.configure(connection=context.config.attributes["connection"], target_metadata=metadata)
with context.begin_transaction():
    context.run_migrations()
