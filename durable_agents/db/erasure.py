"""Deletes what is kept of one person: a user of the flows, by the id that runs carry.

What nobody else needs is deleted. What the books or other people need stays, without what tells
who it was: orders and payments, what model calls cost, decisions, the numbers of tickets. What
stands under a run's name goes before what names the person's runs, so that whoever stops halfway
may start again.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from durable_agents.db.engine import Database
from durable_agents.db.retention import OF_RUN
from durable_agents.db.walking import WINDOW, delete_where, read_where, update_where, walk
from durable_agents.models.base import Record
from durable_agents.models.tenants import tenant_key

_HIS = "t.user_id = :user"
_OF_HIS_RUNS = "t.run_id = ANY(CAST(:runs AS text[]))"
_OF_HIS_DAYS = "t.tenant = :tenant"

# A job is theirs whom its input names; where it names nobody, theirs whose turn it takes.
_HIS_JOBS = "COALESCE(NULLIF(t.payload ->> 'user_id', ''), t.tenant) = :user"
_SETTLED = (
    "(t.finished_at IS NOT NULL AND t.tell_at IS NULL AND (t.batch IS NULL OR t.batch NOT IN ("
    "SELECT b.batch FROM job_batches b WHERE b.tell_at IS NOT NULL UNION ALL "
    "SELECT j.batch FROM jobs j WHERE j.batch IS NOT NULL"
    " AND j.status IN ('queued', 'delayed', 'running'))))"
)
"""Of jobs: nobody counts them any more, and nobody is to be told of them."""


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
    ("interactions", ("run_id",)),
    ("reports", ("run_id",)),
)
"""Tables whose rows tell that a run was a person's: these and their keys.

Not the notifications, nor who asked: these name reviewers and helpers in other people's runs.
"""

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
        f"(t.for_whom = :user OR {_OF_HIS_RUNS}) AND t.title <> :alias",
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
    Change("jobs", ("job_id",), f"{_HIS_JOBS} AND {_SETTLED}"),
    Change("pool_shares", ("pool", "priority", "tenant"), "t.tenant = :user"),
    Change("tenant_days", ("tenant", "day"), _OF_HIS_DAYS),
    Change("tenant_reservations", ("reservation_id",), _OF_HIS_DAYS),
    Change("orders", ("order_id",), _HIS, emptied="user_id = :alias"),
    Change(
        "accounts",
        ("account_id",),
        "t.account_id = :user AND t.name <> :alias",
        emptied="name = :alias, email = '', city = '', status = 'erased'",
    ),
    Change("notifications", ("notification_id",), f"({_OF_HIS_RUNS} OR {_HIS} AND t.{OF_RUN})"),
    Change("interactions", ("run_id",), _HIS),
    Change("reports", ("run_id",), _HIS),
    Change("threads", ("thread_id",), _HIS, window=50),
)
"""In this order: what names the person's runs comes last."""

LAST = (Change("llm_calls", ("llm_call_id",), _HIS, emptied="user_id = ''"),)
"""The usage, which alone names histories that do not say whose they are: after these are gone."""

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
        reading = read_where(table, key, "DISTINCT t.run_id", _HIS)
        found.update(await walk(database, table, key, reading, {"user": user_id}))
    return found


async def executions_named(database: Database, user_id: str) -> set[tuple[str, str]]:
    """The workflows, and their runs, that the usage knows as a person's."""
    pairs = "DISTINCT t.run_id || ' ' || t.workflow_id"
    reading = read_where("llm_calls", ("llm_call_id",), pairs, _HIS)
    told = await walk(database, "llm_calls", ("llm_call_id",), reading, {"user": user_id})
    split = (one.split(" ", 1) for one in told)
    return {(workflow_id, run_id) for run_id, workflow_id in split}


async def count_unfinished(database: Database, user_id: str) -> int:
    """How many jobs of a person's have not ended, or are waited for with others."""
    reading = read_where("jobs", ("job_id",), "''", f"{_HIS_JOBS} AND NOT {_SETTLED}")
    return len(await walk(database, "jobs", ("job_id",), reading, {"user": user_id}))


async def count_rows(database: Database, user_id: str, runs: Collection[str]) -> list[Erased]:
    """What `erase` would change, for who wants to see it first."""
    found: list[Erased] = []
    for change in (*CHANGES, *LAST):
        reading = read_where(change.table, change.key, "''", change.condition)
        told = await walk(database, change.table, change.key, reading, _values(user_id, runs))
        found.append(_erased(change, len(told)))
    return found


async def erase(
    database: Database,
    user_id: str,
    runs: Collection[str],
    *,
    changes: Sequence[Change] = (*CHANGES, *LAST),
) -> list[Erased]:
    """Delete what is kept of a person, who has no open runs and no jobs to be done.

    Args:
        database: Where it is.
        user_id: The person.
        runs: Their runs: those that the server knows, and those that the tables name.
        changes: Only these: `CHANGES` before their histories are deleted, `LAST` afterwards.

    Raises:
        DatabaseUnavailableError: The database does not answer; the rest is done the next time.
    """
    found: list[Erased] = []
    for change in changes:
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
    named = {"user": user_id, "tenant": tenant_key(user_id)}
    return {**named, "runs": list(runs), "alias": ALIAS}


def _erased(change: Change, rows: int) -> Erased:
    if change.emptied:
        return Erased(table=change.table, emptied=rows)
    return Erased(table=change.table, deleted=rows)
