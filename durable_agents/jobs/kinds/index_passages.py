"""A job that makes the index of the current embedding model, once there are enough passages."""

from datetime import timedelta

from durable_agents.db.vectors import build_index
from durable_agents.jobs.kind import JobContext, JobKind
from durable_agents.models.ingestion import IndexedPassages, IndexPayload

TIMEOUT = timedelta(hours=6)  # millions of passages


async def _run(payload: IndexPayload, context: JobContext) -> IndexedPassages:
    embedder = context.services.embedder
    if embedder is None:
        return IndexedPassages()
    return IndexedPassages(made=await build_index(context.database, embedder.model))


INDEX_PASSAGES = JobKind("index_passages", IndexPayload, _run, timeout=TIMEOUT)
