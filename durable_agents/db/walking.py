"""Walks a table by its key, a window of rows at a time, and changes some of them.

Each window is one statement and one transaction: nothing is locked for long, and whoever stops
halfway has lost nothing and may start again.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import text

from durable_agents.db.engine import Database

WINDOW = 2000  # rows that one statement looks at


async def walk(
    database: Database,
    table: str,
    key: Sequence[str],
    change: str,
    values: Mapping[str, Any],
    *,
    window: int = WINDOW,
) -> list[str]:
    """Walk a table; tells what `change` returned, in all windows.

    Args:
        database: Where the table is.
        table: Its name.
        key: Its primary key.
        change: A statement that ends with a condition; `t` is the table, `seen` the keys of the
            window, and both are joined already: see `delete_where`, `update_where`, `read_where`.
        values: What the statement takes.
        window: Rows that one statement looks at.

    Raises:
        DatabaseUnavailableError: The database does not answer.
    """
    statement = text(_windowed(table, key, change))
    after: dict[str, Any] = {f"after_{name}": None for name in key}
    told: list[str] = []
    first = True
    while True:
        given = {**values, **after, "first": first, "window": window}
        async with database.statement() as connection:
            row = (await connection.execute(statement, given)).one()
        told += row.told or []
        if row.seen < window:
            return told
        after, first = {f"after_{name}": row.last[name] for name in key}, False


def delete_where(table: str, key: Sequence[str], condition: str) -> str:
    """Delete the rows of a window for which a condition holds."""
    return f"DELETE FROM {table} t USING seen WHERE {_same(key)} AND {condition} RETURNING '' AS it"  # noqa: S608 - names and conditions of this project


def update_where(table: str, key: Sequence[str], assignments: str, condition: str) -> str:
    """Change the rows of a window for which a condition holds."""
    return (
        f"UPDATE {table} t SET {assignments} FROM seen WHERE {_same(key)} AND {condition} "  # noqa: S608 - as above
        "RETURNING '' AS it"
    )


def read_where(table: str, key: Sequence[str], column: str, condition: str) -> str:
    """Read a column of the rows of a window for which a condition holds."""
    return f"SELECT {column} AS it FROM {table} t JOIN seen ON {_same(key)} WHERE {condition}"  # noqa: S608 - as above


def _same(key: Sequence[str]) -> str:
    return " AND ".join(f"t.{name} = seen.{name}" for name in key)


def _windowed(table: str, key: Sequence[str], change: str) -> str:
    columns = ", ".join(key)
    values = ", ".join(f":after_{name}" for name in key)
    backwards = ", ".join(f"{name} DESC" for name in key)
    return f"""
        WITH seen AS MATERIALIZED (
            SELECT {columns} FROM {table} WHERE :first OR ({columns}) > ({values})
            ORDER BY {columns} LIMIT :window),
        changed AS ({change}),
        last AS (SELECT * FROM seen ORDER BY {backwards} LIMIT 1)
        SELECT (SELECT array_agg(it) FROM changed) AS told,
               (SELECT count(*) FROM seen) AS seen,
               (SELECT to_jsonb(last) FROM last) AS last
    """  # noqa: S608 - as above
