"""Deletes what is kept of one person: a user of the flows, by the id that runs carry.

What nobody else needs is deleted. What the books or other people need stays, without what tells
who it was: orders and payments, what model calls cost, decisions, the numbers of tickets. What
stands under a run's name goes before what names the person's runs, so that whoever stops halfway
may start again.
"""

from collections.abc import Collection
from dataclasses import dataclass

from sqlalchemy import func, select

from durable_agents.db.engine import Database
from durable_agents.db.pool_tables import Job
from durable_agents.db.retention import OF_RUN
from durable_agents.db.walking import WINDOW, delete_where, read_where, update_where, walk
from durable_agents.models.base import Record

_HIS = "t.user_id = :user"
_OF_HIS_RUNS = "t.run_id = ANY(CAST(:runs AS text[]))"
_UNFINISHED = ("queued", "delayed", "running")


@dataclass(frozen=True)
class Change:
    """What becomes of the rows of a table: they are deleted, or `emptied` by an assignment."""

    table: str
    key: tuple[str, ...]
    condition: str
    emptied: str = ""
    window: int = WINDOW

    def statement(self) -> str:
        """The statement for a window."""
        if self.emptied:
            return update_where(self.table, self.key, self.emptied, self.condition)
        return delete_where(self.table, self.key, self.condition)


NAMES_RUNS = (
    ("threads", ("thread_id",)),
    ("llm_calls", ("llm_call_id",)),
    ("notifications", ("notification_id",)),
    ("interactions", ("run_id",)),
    ("reports", ("run_id",)),
)
"""Tables whose rows tell that a run was a person's: these and their keys."""

CHANGES = (
    Change("drafts", ("draft_id",), _OF_HIS_RUNS),
    Change("errors", ("error_id",), _OF_HIS_RUNS),
    Change("workflow_status", ("run_id",), _OF_HIS_RUNS),
    Change(
        "approval_decisions",
        ("decision_id",),
        "t.request_id IN (SELECT r.request_id FROM approval_requests r WHERE r.for_whom = :user"
        " OR r.run_id = ANY(CAST(:runs AS text[]))) AND (t.feedback <> '' OR t.reason <> '')",
        emptied="feedback = '', reason = ''",
    ),
    Change(
        "approval_requests",
        ("request_id",),
        f"(t.for_whom = :user OR t.asked_by = :user OR {_OF_HIS_RUNS}) AND t.title <> :alias",
        emptied="subject = '', title = :alias, consequences = '', content = '', arguments = NULL,"
        " feedback = '', edited_content = NULL, edited_arguments = NULL,"
        " for_whom = CASE WHEN for_whom = :user THEN :alias ELSE for_whom END,"
        " asked_by = CASE WHEN asked_by = :user THEN :alias ELSE asked_by END",
    ),
    Change(
        "tickets",
        ("ticket_id",),
        "(t.account_id = :user OR substr(t.effect_key, 1, 36) = ANY(CAST(:runs AS text[]))"
        " OR t.effect_key IN (SELECT 'support/thread-' || h.thread_id || '/ticket'"
        " FROM threads h WHERE h.user_id = :user)) AND t.subject <> :alias",
        emptied="subject = :alias, description = '', account_id = NULL",
    ),
    Change(
        "effects",
        ("key", "generation"),
        f"t.{OF_RUN} AND ({_OF_HIS_RUNS} OR substr(t.key, 1, 36) = ANY(CAST(:runs AS text[])))",
    ),
    Change(
        "effects",
        ("key", "generation"),
        "t.key IN (SELECT 'support/thread-' || h.thread_id || '/ticket'"
        " FROM threads h WHERE h.user_id = :user)",
    ),
    Change("tasks", ("task_id",), _HIS),
    Change("jobs", ("job_id",), "t.tenant = :user AND t.finished_at IS NOT NULL"),
    Change("pool_shares", ("pool", "priority", "tenant"), "t.tenant = :user"),
    Change("tenant_days", ("tenant", "day"), "t.tenant = :user"),
    Change("tenant_reservations", ("reservation_id",), "t.tenant = :user"),
    Change("orders", ("order_id",), _HIS, emptied="user_id = :alias"),
    Change(
        "accounts",
        ("account_id",),
        "t.account_id = :user AND t.name <> :alias",
        emptied="name = :alias, email = '', city = '', status = 'erased'",
    ),
    Change("notifications", ("notification_id",), _HIS),
    Change("interactions", ("run_id",), _HIS),
    Change("reports", ("run_id",), _HIS),
    Change("threads", ("thread_id",), _HIS, window=50),
    Change("llm_calls", ("llm_call_id",), _HIS, emptied="user_id = ''"),
)
"""In this order: what names the person's runs comes last, of it the usage at the very end."""

ALIAS = "erased"


class Erased(Record):
    """What became of a table's rows: how many were deleted, or emptied of the person."""

    table: str
    deleted: int = 0
    emptied: int = 0


async def runs_named(database: Database, user_id: str) -> set[str]:
    """The runs that the tables know as a person's."""
    found: set[str] = set()
    for table, key in NAMES_RUNS:
        reading = read_where(table, key, "t.run_id", _HIS)
        found.update(await walk(database, table, key, reading, {"user": user_id}))
    return found


async def count_unfinished(database: Database, user_id: str) -> int:
    """How many jobs of a person's have not ended."""
    async with database.statement() as connection:
        query = select(func.count()).where(Job.tenant == user_id, Job.status.in_(_UNFINISHED))
        return int(await connection.scalar(query) or 0)


async def count_rows(database: Database, user_id: str, runs: Collection[str]) -> list[Erased]:
    """What `erase` would change, for who wants to see it first."""
    found: list[Erased] = []
    for change in CHANGES:
        reading = read_where(change.table, change.key, "''", change.condition)
        told = await walk(database, change.table, change.key, reading, _values(user_id, runs))
        found.append(_erased(change, len(told)))
    return found


async def erase(database: Database, user_id: str, runs: Collection[str]) -> list[Erased]:
    """Delete what is kept of a person, who has no open runs and no jobs to be done.

    Args:
        database: Where it is.
        user_id: The person.
        runs: Their runs: those that the server knows, and those that the tables name.

    Raises:
        DatabaseUnavailableError: The database does not answer; the rest is done the next time.
    """
    found: list[Erased] = []
    for change in CHANGES:
        told = await walk(
            database,
            change.table,
            change.key,
            change.statement(),
            _values(user_id, runs),
            window=change.window,
        )
        found.append(_erased(change, len(told)))
    return found


def _values(user_id: str, runs: Collection[str]) -> dict[str, object]:
    return {"user": user_id, "runs": list(runs), "alias": ALIAS}


def _erased(change: Change, rows: int) -> Erased:
    if change.emptied:
        return Erased(table=change.table, emptied=rows)
    return Erased(table=change.table, deleted=rows)
