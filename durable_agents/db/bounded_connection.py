"""A connection that waits for an answer for so long and no longer.

The server ends statements that take too long. That is no help when the server's machine, or the
network to it, is gone without a word: nothing tells this end, TCP tries for a quarter of an hour,
and a step would stand still for as long. A connection that gave no answer is closed.
"""

from typing import Any, TypeVar

from psycopg import AsyncConnection as DriverConnection
from psycopg import OperationalError
from psycopg.abc import PQGen
from psycopg.pq import TransactionStatus
from sqlalchemy.ext.asyncio import AsyncConnection

ANSWER_TIMEOUT_S = 8  # the server ends a statement after 4.5

Answer = TypeVar("Answer")


class BoundedConnection(DriverConnection[Any]):
    """A connection of the driver, each of whose waits for the server is bounded."""

    answer_within_s: float | None = ANSWER_TIMEOUT_S

    async def wait(
        self, gen: PQGen[Answer], interval: float = 0.1, timeout: float | None = None
    ) -> Answer:
        """Wait for what the server answers.

        Raises:
            OperationalError: It does not answer; the connection is closed.
        """
        if timeout is not None:
            return await super().wait(gen, interval, timeout)
        try:
            return await super().wait(gen, interval, self.answer_within_s)
        except OperationalError as error:
            if self.pgconn.transaction_status != TransactionStatus.ACTIVE:
                raise  # what the server answered
            self.pgconn.finish()  # nobody knows what became of the statement
            raise OperationalError(
                f"the connection gave no answer for {self.answer_within_s} s and is closed"
            ) from error


async def without_bound(connection: AsyncConnection) -> None:
    """Let the server take its time, for as long as this connection lives."""
    driver = (await connection.get_raw_connection()).driver_connection
    if isinstance(driver, BoundedConnection):
        driver.answer_within_s = None
