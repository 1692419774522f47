"""Refunds that are under way: begun when a charge is closed, open until they are settled.

A charge is closed before the gateway is asked to give it back, so that nobody fulfils the order
on it. From then on the gateway may still hold the money, while the run retries, waits for a
person, or was cut off by a terminate. Only a row that outlives the run can say so; as long as it
is open the order is neither reserved nor charged anew. What settles it is the gateway's word, or
a person who gives the refund up. Rows of runs that ended are taken up by the workers.
"""

from datetime import timedelta
from typing import Literal

from sqlalchemy import Select, func, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from durable_agents.db.flow_tables import Refund
from durable_agents.models.base import Record
from durable_agents.models.errors import RefundUnderWayError

Outcome = Literal["refunded", "nothing"]


class OpenRefund(Record):
    """A refund that is not settled: of which charge, and the run that is at it."""

    order_id: str
    generation: int
    reservation: int = 0
    payment: str = ""
    namespace: str = ""
    workflow_id: str = ""
    run_id: str = ""

    def what(self) -> str:
        """Say which refund it is."""
        what = f"payment {self.payment}" if self.payment else f"charge {self.generation}"
        return f"the refund of {what} of order {self.order_id}"


async def begin(connection: AsyncConnection, refund: OpenRefund) -> None:
    """Note that a charge is being given back; one that is noted already stays as it is.

    For the transaction that closes the charge.
    """
    await connection.execute(insert(Refund).values(**refund.model_dump()).on_conflict_do_nothing())


async def require_settled(connection: AsyncConnection, order_id: str) -> None:
    """Refuse to go on with an order while a charge of it is being given back.

    Raises:
        RefundUnderWayError: A refund is open; says which, and who is at it.
    """
    query = _open().where(Refund.order_id == order_id).order_by(Refund.generation).limit(1)
    found = (await connection.execute(query)).mappings().one_or_none()
    if found is None:
        return
    refund = OpenRefund.model_validate(dict(found))
    run = refund.workflow_id
    raise RefundUnderWayError(
        f"T{refund.what()[1:]} is still under way (run {run}), so the order is not charged again "
        f"before that is settled: `durable-agents compensate {run}` shows whether it waits for a "
        "person, and workers take it up when that run has ended. Then order again."
    )


async def settle(
    connection: AsyncConnection, order_id: str, generation: int, outcome: Outcome
) -> None:
    """Note what the gateway said: the money is back, or nothing was charged."""
    await _settle(connection, order_id, generation, outcome=outcome)


async def abandon(connection: AsyncConnection, refund: OpenRefund, *, reason: str, by: str) -> None:
    """Note that a person gave a refund up; one that is settled already stays as it is."""
    await begin(connection, refund)
    await _settle(
        connection,
        refund.order_id,
        refund.generation,
        outcome="abandoned",
        reason=reason,
        decided_by=by,
    )


async def abandon_of_chain(
    connection: AsyncConnection, namespace: str, first_run_id: str, *, reason: str, by: str
) -> list[OpenRefund]:
    """Note that a person gave up the refunds that a chain of runs is at; tells which they were.

    For a run that is about to be terminated: nobody takes up what was given up.
    """
    of_chain = (Refund.namespace == namespace, Refund.run_id == first_run_id)
    found = (await connection.execute(_open().where(*of_chain))).mappings()
    under_way = [OpenRefund.model_validate(dict(row)) for row in found]
    for refund in under_way:
        await abandon(connection, refund, reason=reason, by=by)
    return under_way


async def given_up(connection: AsyncConnection, order_id: str, generation: int) -> str:
    """Who gave a refund up, and why; empty when nobody did."""
    found = await connection.execute(
        select(Refund.decided_by, Refund.reason).where(
            Refund.order_id == order_id,
            Refund.generation == generation,
            Refund.outcome == "abandoned",
        )
    )
    row = found.one_or_none()
    return f"{row.decided_by or 'somebody'} ({row.reason})" if row else ""


async def open_refunds(
    connection: AsyncConnection, namespace: str, *, older_than: timedelta, limit: int = 100
) -> list[OpenRefund]:
    """Refunds that are open, those first that were not looked at for the longest time.

    Only those whose runs are in this namespace: of others its server knows nothing.
    """
    query = _open().where(
        Refund.namespace == namespace, Refund.touched_at <= func.now() - older_than
    )
    found = await connection.execute(query.order_by(Refund.touched_at).limit(limit))
    return [OpenRefund.model_validate(dict(row)) for row in found.mappings()]


async def hand_over(
    connection: AsyncConnection, refund: OpenRefund, *, workflow_id: str, run_id: str
) -> None:
    """Note which run is at a refund now, and that it was looked at; a settled one is left alone."""
    await connection.execute(
        update(Refund)
        .where(
            Refund.order_id == refund.order_id,
            Refund.generation == refund.generation,
            Refund.settled_at.is_(None),
        )
        .values(workflow_id=workflow_id, run_id=run_id, touched_at=func.now())
    )


def _open() -> Select[str, int, int, str, str, str, str]:
    return select(
        Refund.order_id,
        Refund.generation,
        Refund.reservation,
        Refund.payment,
        Refund.namespace,
        Refund.workflow_id,
        Refund.run_id,
    ).where(Refund.settled_at.is_(None))


async def _settle(
    connection: AsyncConnection, order_id: str, generation: int, **values: str
) -> None:
    await connection.execute(
        update(Refund)
        .where(
            Refund.order_id == order_id,
            Refund.generation == generation,
            Refund.settled_at.is_(None),
        )
        .values(settled_at=func.now(), **values)
    )
