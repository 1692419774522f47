"""Writes down whom the page refused what, without letting anybody fill the database."""

import logging
import time

from durable_agents.db.denials import record_denial
from durable_agents.db.engine import Database
from durable_agents.models.errors import DurableAgentsError

ROWS_A_MINUTE = 60
_LOG = logging.getLogger(__name__)


class DenialLog:
    """Keeps denials in the database, so many a minute, and each of them in the log.

    Args:
        database: Where they are kept.
        rows_a_minute: How many at most; what is beyond is in the log alone.
    """

    def __init__(self, database: Database, *, rows_a_minute: int = ROWS_A_MINUTE) -> None:
        self._database = database
        self._most = rows_a_minute
        self._minute, self._written = 0, 0

    async def add(self, *, who: str, what: str, why: str, address: str) -> None:
        """Write one down. That it cannot be kept does not keep the answer back."""
        _LOG.warning("Denied: %r %r to %r from %r", why, what, who, address)
        minute = int(time.monotonic() // 60)
        if minute != self._minute:
            self._minute, self._written = minute, 0
        self._written += 1
        if self._written > self._most:
            return
        try:
            async with self._database.statement() as connection:
                await record_denial(connection, who=who, what=what, why=why, address=address)
        except DurableAgentsError as error:
            _LOG.warning("A denial is in the log alone: %s", error.message)


def without_secret(path: str) -> str:
    """A path as it may be written down: of a one-time link, not what lets somebody in."""
    begin, found, _ = path.partition("/link/")
    return f"{begin}{found}…" if found else path
