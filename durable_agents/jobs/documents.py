"""Makes documents into jobs of a work pool, one batch for all that are asked for together."""

from collections.abc import Iterable

from sqlalchemy.ext.asyncio import AsyncConnection

from durable_agents.db import batches, jobs, pools
from durable_agents.models.analyze_document import DocumentAnalysisInput
from durable_agents.models.jobs import WORKFLOW_KIND, JobRetry, NewJob
from durable_agents.models.process_documents import BatchCounts, DocumentJobs

ANALYSIS = f"{WORKFLOW_KIND}DocumentAnalysisWorkflow"
SPARE_S = 60  # a run that reaches its own deadline says so itself
RETRY = JobRetry(attempts=2, initial_s=30)  # its steps have been tried again already


async def open_documents(
    connection: AsyncConnection, batch: str, how: DocumentJobs, *, fingerprint: str = ""
) -> None:
    """Open a batch for documents, and its pool if it is not there.

    Args:
        connection: Where.
        batch: The batch.
        how: How they are analysed.
        fingerprint: What it is being filled with, where that takes more than one transaction.

    Raises:
        IdempotencyConflictError: The batch is there in another pool.
    """
    await pools.ensure_pool(connection, how.pool, max_parallelism=how.max_parallelism)
    await batches.open_batch(
        connection, batch, pool=how.pool, about="documents", fingerprint=fingerprint
    )


async def add_documents(
    connection: AsyncConnection, batch: str, document_ids: Iterable[str], how: DocumentJobs
) -> int:
    """Put documents into a batch, each once; tells how many are new. For a transaction."""
    made = [_job(one.strip(), batch, how) for one in document_ids]
    return len(await jobs.enqueue(connection, how.pool, made, batch=batch))


async def counts_of(connection: AsyncConnection, batch: str) -> BatchCounts:
    """How many documents of a batch stand where.

    Raises:
        NotFoundError: There is no such batch.
    """
    found = await batches.find_batch(connection, batch)
    counted = await batches.counts(connection, batch)
    return BatchCounts(
        batch=batch,
        sealed=found.sealed,
        done=counted.get("done", 0),
        failed=counted.get("failed", 0),
        cancelled=counted.get("cancelled", 0),
        left=sum(counted.get(status, 0) for status in ("queued", "delayed", "running")),
    )


def _job(document_id: str, batch: str, how: DocumentJobs) -> NewJob:
    request = DocumentAnalysisInput(
        document_id=document_id,
        allow_partial=how.allow_partial,
        user_id=how.user_id,
        deadline_s=how.document_deadline_s,
    )
    return NewJob(
        kind=ANALYSIS,
        payload=request.model_dump(mode="json", exclude_defaults=True),
        key=f"{batch}/{document_id}",
        tenant=how.tenant or how.user_id,
        weight=how.weight,
        priority=how.priority,
        about=document_id,
        timeout_s=how.document_deadline_s + SPARE_S,
        retry=RETRY,
    )
