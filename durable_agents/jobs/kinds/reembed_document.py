"""A job that gives the passages of a document vectors of the current embedding model."""

from datetime import timedelta

from durable_agents.db.embedding_jobs import passages_without, set_vectors
from durable_agents.jobs.kind import JobContext, JobKind
from durable_agents.jobs.kinds.ingest_document import site_of
from durable_agents.models.errors import ConfigurationError
from durable_agents.models.ingestion import ReembeddedDocument, ReembedPayload
from durable_agents.models.jobs import JobRetry

AT_ONCE = 256
"""Passages that are stored at once: after a failure the next try pays for no more than these."""


async def _run(payload: ReembedPayload, context: JobContext) -> ReembeddedDocument:
    embedder = context.services.embedder
    if embedder is None:
        raise ConfigurationError(
            "No embedding model is named for the workers: set OPENAI_EMBEDDING_MODEL, start them "
            "again, and then this."
        )
    async with context.database.statement() as connection:
        passages = await passages_without(
            connection, payload.document_id, embedder.model, payload.dimension
        )
    for start in range(0, len(passages), AT_ONCE):
        some = passages[start : start + AT_ONCE]
        embedded = await embedder.embed([one.content for one in some], site_of(context))
        async with context.transaction() as connection:
            await set_vectors(connection, some, embedded)
    return ReembeddedDocument(chunks=len(passages))


REEMBED_DOCUMENT = JobKind(
    "reembed_document",
    ReembedPayload,
    _run,
    timeout=timedelta(minutes=15),
    retry=JobRetry(attempts=5),
    about=lambda payload: payload.document_id,
)
