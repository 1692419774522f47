"""What Alembic runs for each of its commands: on the connection that `migrate` hands over."""

from typing import cast

from alembic import context
from sqlalchemy import Connection

from durable_agents.db import (
    approval_tables,
    flow_tables,
    payload_tables,
    people_tables,
    pool_tables,
    tenant_tables,
)
from durable_agents.db.tables import Base

# They add to the metadata by being imported.
TABLES = (
    approval_tables,
    flow_tables,
    payload_tables,
    people_tables,
    pool_tables,
    tenant_tables,
)

connection = cast(Connection, context.config.attributes["connection"])
context.configure(
    connection=connection,
    target_metadata=Base.metadata,
    compare_server_default=True,
)
with context.begin_transaction():
    context.run_migrations()
