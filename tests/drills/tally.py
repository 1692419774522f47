"""What a run has left in the database and at the receiver of notifications, in numbers."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

from sqlalchemy import text

from durable_agents.db.engine import Database
from tests.drills.counting_worker import DONE, TABLE

UNCERTAIN = "notification uncertain"
SENT = "notification sent"
RECEIVED = "notification received"

_RUNS = (
    "WITH r AS (SELECT * FROM unnest(CAST(:words AS text[]), CAST(:runs AS text[])) r(word, run))"
)
# Each gives words and numbers. A word is unique, and so is a run; both name no other scenario.
MEASURES: Mapping[str, str] = {
    "thread": "threads t ON t.run_id = r.run",
    "message": "messages t ON t.run_id = r.run",
    "ticket": "tickets t ON strpos(t.description, r.word) > 0",
    "effect": "effects t ON t.closed_at IS NULL AND (starts_with(t.key, r.run)"
    " OR starts_with(t.key, 'order/' || r.word || '/'))",
    "draft": "drafts t ON t.run_id = r.run",
    "interaction": "interactions t ON t.run_id = r.run",
    "report": "reports t ON t.run_id = r.run",
    "error": "errors t ON t.run_id = r.run",
    "analysis": "analyses t ON starts_with(t.document_id, r.word || '-')",
    "analysis without a branch": "analyses t ON starts_with(t.document_id, r.word || '-')"
    " AND t.missing <> ''",
    "answer with a forecast": "messages t ON t.run_id = r.run AND t.role = 'assistant'"
    " AND strpos(t.content, '°C') > 0",
    "status row": "workflow_status t ON t.run_id = r.run AND t.status = 'completed'",
    "status row of a failure": "workflow_status t ON t.run_id = r.run AND t.status = 'failed'",
    "task saved": "tasks t ON t.task_id = r.word AND t.result IS NOT NULL",
    "approval": "approval_requests t ON t.run_id = r.run AND t.status = 'approved'",
    "rejection": "approval_requests t ON t.run_id = r.run AND t.status = 'rejected'",
    "decision that counts": "approval_requests a ON a.run_id = r.run"
    " JOIN approval_decisions t ON t.request_id = a.request_id AND t.counted",
    "charge": "payments t ON t.order_id = r.word AND t.amount_usd > 0",
    "refund": "payments t ON t.order_id = r.word AND t.status = 'refunded' AND t.amount_usd > 0",
    "refund given up": "refunds t ON t.order_id = r.word AND t.outcome = 'abandoned'",
    "order fulfilled": "orders t ON t.order_id = r.word AND t.status = 'fulfilled'",
    "order cancelled": "orders t ON t.order_id = r.word AND t.status = 'cancelled'",
    "job done": "jobs t ON t.pool = r.word AND t.status = 'done'",
    "effect of a job": f"jobs j ON j.pool = r.word JOIN {TABLE} t"
    f" ON t.job_id = j.job_id AND t.mark = '{DONE}'",
    SENT: "notifications t ON t.run_id = r.run AND t.status = 'sent'",
    UNCERTAIN: "notifications t ON t.run_id = r.run AND t.status IN ('sending', 'uncertain')",
}
_STOCK = "SELECT r.word, sum(p.stock) FROM r JOIN products p ON p.sku = r.word GROUP BY 1"

Tally = Counter[str]


@dataclass(frozen=True)
class Difference:
    """How a run differs from an undisturbed one: how much is missing, and too much."""

    lost: Tally
    doubled: Tally
    uncertain: int


async def count(
    database: Database, runs: Mapping[str, str], received: Mapping[str, int]
) -> dict[str, Tally]:
    """What there is of each run.

    Args:
        database: Where it is.
        runs: The first run's id of each word's chain; empty for a run of the pool.
        received: How many notifications came that name a word.
    """
    values = {"words": list(runs), "runs": [run or "-" for run in runs.values()]}
    tallies: dict[str, Tally] = {word: Counter() for word in runs}
    queries = {
        name: f"SELECT r.word, count(*) FROM r JOIN {joined} GROUP BY 1"  # noqa: S608 - constants
        for name, joined in MEASURES.items()
    }
    for name, query in {**queries, "in stock": _STOCK}.items():
        async with database.statement() as connection:
            for word, number in await connection.execute(text(f"{_RUNS} {query}"), values):
                tallies[word][name] = int(number)
    for word, tally in tallies.items():
        if received.get(word):
            tally[RECEIVED] = received[word]
    return tallies


def compare(tally: Tally, expected: Mapping[str, int]) -> Difference:
    """Hold a run against an undisturbed one.

    A receiver that takes no key may have got a notification whose sending was cut off, or not:
    that is uncertain, and neither lost nor doubled, unless it has come twice.
    """
    uncertain = tally[UNCERTAIN]
    given, wanted = Counter(tally), Counter(expected)
    if uncertain:
        given[SENT] += given.pop(UNCERTAIN)
        missing = max(wanted[RECEIVED] - given[RECEIVED], 0)
        given[RECEIVED] += min(uncertain, missing)
    return Difference(lost=wanted - given, doubled=given - wanted, uncertain=uncertain)
