"""A job that makes an upload a document: read, cut, embed, and store, all or nothing."""

import asyncio
from collections.abc import Sequence
from datetime import timedelta

from sqlalchemy.ext.asyncio import AsyncConnection

from durable_agents.agent.document_text import MAX_BYTES, ReadDocument, read_document
from durable_agents.agent.sites import CallSite
from durable_agents.clients.http import fetch
from durable_agents.db import library, uploads
from durable_agents.db.embedding_jobs import vectors_of
from durable_agents.db.library import NewDocument, digest_of
from durable_agents.db.uploads import StoredUpload
from durable_agents.db.vectors import EmbeddedTexts
from durable_agents.jobs.kind import JobContext, JobKind
from durable_agents.models.ingestion import IngestedDocument, IngestPayload
from durable_agents.models.jobs import JobRetry

FETCH_DEADLINE = timedelta(seconds=30)
TIMEOUT = timedelta(minutes=15)  # 5,000 passages, embedded in 79 calls of at most 10 s


async def _run(payload: IngestPayload, context: JobContext) -> IngestedDocument:
    async with context.database.statement() as connection:
        upload = await uploads.read_upload(connection, payload.upload_id)
    if upload is None:
        return IngestedDocument(superseded=True)
    if upload.content is None:
        return await _ingest_address(payload, context, upload)
    read = await read_document(upload.name, upload.content)
    return await _store(payload, context, upload, read)


async def _ingest_address(
    payload: IngestPayload, context: JobContext, upload: StoredUpload
) -> IngestedDocument:
    """Fetch what is at an address; if it is what it was, there is nothing to do."""
    page = await fetch(
        upload.source,
        allow=context.services.fetch_allow,
        only=context.services.fetch_only,
        max_bytes=MAX_BYTES,
        deadline=FETCH_DEADLINE,
    )
    digest = digest_of(page.body)
    async with context.transaction() as connection:
        same = await library.unchanged(connection, {upload.source: digest})
        if same and await uploads.take_upload(connection, payload.upload_id):
            return await _finish(context, connection, IngestedDocument(unchanged=True))
    read = await read_document(upload.name, page.body, told=page.content_type, charset=page.charset)
    given = StoredUpload(upload.source, upload.name, page.body, digest)
    return await _store(payload, context, given, read)


async def _store(
    payload: IngestPayload, context: JobContext, upload: StoredUpload, read: ReadDocument
) -> IngestedDocument:
    """Embed the passages, then write everything in one transaction, unless it is outdated."""
    async with context.database.statement() as connection:
        document_id = await library.id_of_source(connection, upload.source)
    document = NewDocument(
        document_id=document_id,
        title=read.title,
        source=upload.source,
        content=read.text,
        media_type=read.media_type,
        upload_digest=upload.digest,
    )
    chunks = await asyncio.to_thread(document.chunks)
    embedded = await _embedded(context, document_id, chunks)
    async with context.transaction() as connection:
        if not await uploads.take_upload(connection, payload.upload_id):
            return await _finish(context, connection, IngestedDocument(superseded=True))
        await library.store_document(connection, document, chunks, embedded)
        result = IngestedDocument(
            document_id=document_id, title=document.title[:200], chunks=len(chunks)
        )
        return await _finish(context, connection, result)


async def _embedded(
    context: JobContext, document_id: str, chunks: Sequence[str]
) -> EmbeddedTexts | None:
    """The vectors of passages; those that did not change keep theirs. None without a model."""
    embedder = context.services.embedder
    if embedder is None:
        return None
    async with context.database.statement() as connection:
        known = await vectors_of(connection, document_id, embedder.model, chunks)
    return await embedder.embed(chunks, site_of(context), known)


async def _finish(
    context: JobContext, connection: AsyncConnection, result: IngestedDocument
) -> IngestedDocument:
    await context.finish(connection, result)
    return result


def site_of(context: JobContext) -> CallSite:
    """Where the model calls of a job stand, for the rows of their usage."""
    return CallSite(
        workflow_id=f"pool/{context.pool}",
        run_id=f"job/{context.job_id}",
        step="embed",
        attempt=context.run.fence,  # a try that was lost with its worker counts as no failure
        user_id=context.tenant,
    )


INGEST_DOCUMENT = JobKind(
    "ingest_document",
    IngestPayload,
    _run,
    timeout=TIMEOUT,
    retry=JobRetry(attempts=5),
    about=lambda payload: payload.source,
)
