"""Deletes what is older than it has to be kept, a little at a time.

A table is walked in windows, so that nothing is locked for long. What belongs to a run that the
server still knows is kept, whatever its age.

Never deleted by age: orders, payments and refunds with the effects that guard them, accounts,
tasks, documents, people; what waits for a decision; jobs that are not finished; notifications
that may have been sent or not.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime

from durable_agents.db.engine import Database
from durable_agents.db.walking import WINDOW, delete_where, read_where, walk

THREADS_AT_ONCE = 50  # their messages go with them

# Jobs of a batch are kept together, as in `job_retention`: whoever waits for it counts them.
_OF_NO_BATCH_IN_USE = (
    "(t.batch IS NULL OR t.batch NOT IN (SELECT b.batch FROM job_batches b"
    " WHERE b.tell_at IS NOT NULL OR NOT b.sealed AND b.created_at >= :before"
    " UNION ALL SELECT j.batch FROM jobs j WHERE j.batch IS NOT NULL AND"
    " (j.status IN ('queued', 'delayed', 'running') OR j.finished_at >= :before)))"
)

OF_RUN = r"key ~ '^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}[/:]'"
"""Keys that name the chain's first run; those of the business stand as long as it does."""


@dataclass(frozen=True)
class Table:
    """What of a table is deleted.

    Attributes:
        name: The table.
        key: Its primary key, in the order in which it is walked.
        age: When a row was last of use, as SQL.
        run: The run that a row belongs to, as SQL; empty when to none.
        chain: A further run: the first of the chain.
        only: Which rows alone, as SQL.
        window: Rows that one statement looks at.
    """

    name: str
    key: tuple[str, ...]
    age: str
    run: str = ""
    chain: str = ""
    only: str = "TRUE"
    window: int = WINDOW

    def condition(self) -> str:
        """Whether a row `t` is too old, as SQL."""
        runs = (run for run in (self.run, self.chain) if run)
        of_no_run = " AND ".join(f"NOT {run} = ANY(CAST(:kept AS text[]))" for run in runs)
        return f"{self.age} < :before AND ({self.only}) AND {of_no_run or 'TRUE'}"


_RUN = "t.run_id"
KINDS: Mapping[str, tuple[Table, ...]] = {
    "effects": (
        Table(
            "effects",
            ("key", "generation"),
            "t.created_at",
            run=_RUN,
            chain="substr(t.key, 1, 36)",
            only=f"t.{OF_RUN}",
        ),
    ),
    "threads": (
        Table(
            "threads",
            ("thread_id",),
            "(SELECT max(m.created_at) FROM messages m WHERE m.thread_id = t.thread_id)",
            run=_RUN,
            window=THREADS_AT_ONCE,
            only="NOT EXISTS (SELECT FROM messages m WHERE m.thread_id = t.thread_id"
            " AND m.run_id = ANY(CAST(:kept AS text[])))",
        ),
        Table("drafts", ("draft_id",), "t.created_at", run=_RUN),
    ),
    "usage": (
        Table("llm_calls", ("llm_call_id",), "t.created_at", run=_RUN),
        Table("tenant_days", ("tenant", "day"), "t.updated_at"),
        Table("tenant_reservations", ("reservation_id",), "t.expires_at"),
    ),
    "approvals": (
        Table(
            "approval_requests",
            ("request_id",),
            "COALESCE(t.decided_at, t.closes_at, t.created_at)",
            run=_RUN,
            only="t.status <> 'pending'",
        ),
    ),
    "notifications": (
        Table(
            "notifications",
            ("notification_id",),
            "t.claimed_at",
            run=_RUN,
            chain="substr(t.key, 1, 36)",
            only="t.status IN ('sent', 'pending', 'failed')",
        ),
    ),
    "results": (
        Table(
            "section_notes",
            ("run_id", "branch", "section"),
            "(SELECT a.created_at FROM analyses a WHERE a.run_id = t.run_id)",
            run=_RUN,
        ),
        Table("analyses", ("run_id",), "t.created_at", run=_RUN),
        Table("reports", ("run_id",), "t.created_at", run=_RUN),
        Table("interactions", ("run_id",), "t.created_at", run=_RUN),
    ),
    "statuses": (
        Table(
            "workflow_status", ("run_id",), "t.updated_at", only="t.status <> 'running'", run=_RUN
        ),
        Table("errors", ("error_id",), "t.created_at", run=_RUN),
    ),
    "jobs": (
        Table(
            "jobs",
            ("job_id",),
            "t.finished_at",
            only=f"t.tell_at IS NULL AND {_OF_NO_BATCH_IN_USE}",
        ),
        Table(
            "job_batches",
            ("batch",),
            "t.created_at",
            only="t.sealed AND t.tell_at IS NULL"
            " AND NOT EXISTS (SELECT FROM jobs j WHERE j.batch = t.batch)",
        ),
    ),
    "sign-ins": (
        Table("sign_in_attempts", ("attempt_id",), "t.at"),
        Table("denials", ("denial_id",), "t.at"),
        Table("sessions", ("digest",), "LEAST(t.expires_at, t.ended_at)"),
        Table("one_time_links", ("digest",), "t.expires_at"),
    ),
}
"""What can be deleted by age, by the names that people use."""


async def purge_table(
    database: Database,
    table: Table,
    *,
    before: datetime,
    kept: Collection[str],
    delete: bool = True,
) -> int:
    """Delete the rows of a table that are too old; tells how many.

    Args:
        database: Where the table is.
        table: Which.
        before: Rows last of use before this are too old.
        kept: Runs, and first runs of chains, whose rows stay.
        delete: Delete them; else they are only counted.

    Raises:
        DatabaseUnavailableError: The database does not answer.
    """
    given = {"before": before, "kept": list(kept)}
    condition = table.condition()
    change = (
        delete_where(table.name, table.key, condition)
        if delete
        else read_where(table.name, table.key, "''", condition)
    )
    told = await walk(database, table.name, table.key, change, given, window=table.window)
    return len(told)
