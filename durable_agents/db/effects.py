"""The ledger of effects: what is done under a key is done once.

A claim and the write that it guards are one transaction. Claims and closings of a key stand in
line behind an advisory lock that ends with the transaction. So, at READ COMMITTED, a second
delivery sees what the first one left, and a compensation sees a claim that was still under way.
The index `effects_open` (one open generation a key) holds the promise even without the lock.
"""

import hashlib
import json
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import datetime
from typing import TypeAlias, cast

from pydantic import BaseModel
from sqlalchemy import func, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from durable_agents.db.engine import Database
from durable_agents.db.tables import Effect
from durable_agents.models.base import Record
from durable_agents.models.errors import IdempotencyConflictError

JSON: TypeAlias = Mapping[str, "JSON"] | Sequence["JSON"] | str | int | float | bool | None


class Claim(Record):
    """One generation of a key: whose it is, since when, and whether it is open."""

    generation: int
    run_id: str
    created_at: datetime
    is_open: bool
    closed_at: datetime | None = None


LOCK_SEED = 1  # keeps these locks apart from others that hash text


def fingerprint(request: BaseModel | JSON) -> str:
    """SHA-256, in hexadecimal, of the canonical JSON of a request.

    A model counts without the fields that hold their defaults: the next release may add fields,
    and has to recognise what this one asked for.

    Raises:
        ValueError: A number is not finite, or a value is not JSON.
    """
    value = (
        request.model_dump(mode="json", exclude_defaults=True)
        if isinstance(request, BaseModel)
        else request
    )
    canonical = json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(canonical.encode()).hexdigest()


async def once(
    database: Database,
    *,
    key: str,
    request: BaseModel | JSON,
    run_id: str,
    write: Callable[[AsyncConnection], Awaitable[JSON]],
) -> JSON:
    """Do a write once under a key, and tell its result each time.

    The claim, the write and the result are one transaction: when `write` raises, nothing stays.
    A second delivery that runs at the same moment waits for the first.

    Args:
        database: Where the effect happens.
        key: What the effect is known by.
        request: What is asked for; the same key cannot ask for something else.
        run_id: The run that asks.
        write: Does it on the connection of the transaction, and returns what to remember.

    Returns:
        What `write` returned, now or before, as PostgreSQL gives the JSON back.

    Raises:
        IdempotencyConflictError: The key was used before with another request.
        DatabaseUnavailableError: The database does not answer, or not in time.
    """
    wanted = fingerprint(request)
    async with database.transaction() as connection:
        await _stand_in_line(connection, key)
        generation = await _claim(connection, key=key, wanted=wanted, run_id=run_id)
        if generation is None:
            return await _stored_result(connection, key=key, wanted=wanted)
        return await _store_result(
            connection, key=key, generation=generation, result=await write(connection)
        )


async def close(connection: AsyncConnection, *, key: str) -> int | None:
    """Close what is open under a key, so that the next claim does the effect again.

    For the transaction that compensates the effect, and only there: when that is rolled back,
    the key stays open. A claim that is under way is waited for, then closed. To close twice, or
    what was never claimed, is harmless.

    Returns:
        The generation that was closed; None when none was open.
    """
    await _stand_in_line(connection, key)
    return await connection.scalar(
        update(Effect)
        .where(Effect.key == key, Effect.closed_at.is_(None))
        .values(closed_at=func.now())
        .returning(Effect.generation)
    )


async def open_claim(connection: AsyncConnection, *, key: str) -> Claim | None:
    """What is open under a key.

    For the transaction that closes it, if it is the right one: others that claim or close the
    key wait from here on.
    """
    await _stand_in_line(connection, key)
    return next((c for c in await claims(connection, key=key) if c.is_open), None)


async def stored(connection: AsyncConnection, *, key: str) -> JSON:
    """What came of the effect that is open under a key; None when none is."""
    return cast(
        JSON,
        await connection.scalar(
            select(Effect.result).where(Effect.key == key, Effect.closed_at.is_(None))
        ),
    )


async def note_result(
    connection: AsyncConnection, *, key: str, generation: int, result: JSON
) -> None:
    """Keep what came of an effect that was claimed first and done after, outside the database."""
    await _store_result(connection, key=key, generation=generation, result=result)


async def claims(connection: AsyncConnection, *, key: str) -> list[Claim]:
    """All generations of a key, oldest first."""
    found = await connection.execute(
        select(
            Effect.generation,
            Effect.run_id,
            Effect.created_at,
            Effect.closed_at.is_(None).label("is_open"),
            Effect.closed_at,
        )
        .where(Effect.key == key)
        .order_by(Effect.generation)
    )
    return [Claim.model_validate(dict(row)) for row in found.mappings()]


async def _stand_in_line(connection: AsyncConnection, key: str) -> None:
    """Wait for other transactions that claim or close the key.

    A statement of its own: the next statement's snapshot must be younger than the wait.
    """
    number = func.hashtextextended(key, LOCK_SEED)
    await connection.execute(select(func.pg_advisory_xact_lock(number)))


async def _claim(connection: AsyncConnection, *, key: str, wanted: str, run_id: str) -> int | None:
    """Open the next generation; None when one is open."""
    closed = (
        select(func.count()).where(Effect.key == key, Effect.closed_at.is_not(None))
    ).scalar_subquery()
    return await connection.scalar(
        insert(Effect)
        .values(key=key, generation=closed + 1, fingerprint=wanted, run_id=run_id)
        .on_conflict_do_nothing(index_elements=[Effect.key], index_where=Effect.closed_at.is_(None))
        .returning(Effect.generation)
    )


async def _stored_result(connection: AsyncConnection, *, key: str, wanted: str) -> JSON:
    stored = (
        await connection.execute(
            select(Effect.fingerprint, Effect.result, Effect.run_id).where(
                Effect.key == key, Effect.closed_at.is_(None)
            )
        )
    ).one()
    if stored.fingerprint != wanted:
        raise IdempotencyConflictError(
            f"The idempotency key {key} was used before for another request (by run "
            f"{stored.run_id}): send the same request again, or take another key."
        )
    return cast(JSON, stored.result)


async def _store_result(
    connection: AsyncConnection, *, key: str, generation: int, result: JSON
) -> JSON:
    """Keep the result; what is read back is what every later delivery gets."""
    return cast(
        JSON,
        await connection.scalar(
            update(Effect)
            .where(Effect.key == key, Effect.generation == generation)
            .values(result=result)
            .returning(Effect.result)
        ),
    )
