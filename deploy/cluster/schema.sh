#!/bin/sh
# Makes the two databases of a Temporal server on PostgreSQL and brings their tables up to date;
# harmless when they are. Runs in temporalio/admin-tools, which reads SQL_* for where they are.
set -eu

# Both servers answer to the name `temporal`: runs would go to one or the other.
if [ "${DEV_SERVERS:-0}" != 0 ]; then
    echo "The dev server would run beside the cluster: set TEMPORAL_DEV_SERVERS=0 in .env." >&2
    exit 2
fi

tables() {
    temporal-sql-tool --database "$1" create-database
    temporal-sql-tool --database "$1" setup-schema --version 0.0
    temporal-sql-tool --database "$1" update-schema \
        --schema-dir "/etc/temporal/schema/postgresql/v12/$2/versioned"
}

tables temporal temporal
tables temporal_visibility visibility
