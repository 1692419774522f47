"""Puts uploads in, runs jobs on them, and reads what was stored."""

from typing import Any

from sqlalchemy import func, select

from durable_agents.db import jobs, uploads
from durable_agents.db.engine import Database
from durable_agents.db.library import digest_of
from durable_agents.db.pool_tables import Upload
from durable_agents.db.tables import Chunk
from durable_agents.db.uploads import NewUpload
from durable_agents.jobs.kind import JobContext, JobKind, JobServices
from durable_agents.jobs.kinds.ingest_document import INGEST_DOCUMENT
from durable_agents.models.ingestion import IngestedDocument, IngestPayload
from tests.db.pooling import Lane, new_pool, run_of

MODEL = "simulator-embedding-1"
GUIDE = "# Ocarinas\n\nAn ocarina is wiped dry.\n\n## Tuning\n\nWarm air makes it sharp."


async def claimed(tools: JobServices, kind: JobKind, payload: Any) -> JobContext:
    """What a job of a kind is given, held by a lane of a pool of its own."""
    pool = await new_pool(tools.database)
    async with tools.database.transaction() as connection:
        await jobs.enqueue(connection, pool, [kind.new(payload)])
    lane = await Lane(tools.database, pool).begin()
    return JobContext(tools, run_of(await lane.claim()), pool=pool)


async def given(database: Database, source: str, content: str | None) -> int:
    """The id of an upload."""
    raw = content.encode() if content is not None else None
    digest = digest_of(raw) if raw is not None else ""
    async with database.transaction() as connection:
        (upload_id,) = await uploads.add_uploads(
            connection, [NewUpload(source, source, raw, digest)]
        )
    return upload_id


async def ingest(tools: JobServices, source: str, content: str | None) -> IngestedDocument:
    payload = IngestPayload(upload_id=await given(tools.database, source, content))
    return await run(tools, INGEST_DOCUMENT, payload)


async def run(tools: JobServices, kind: JobKind, payload: Any) -> Any:
    return await kind.run(payload, await claimed(tools, kind, payload))


async def chunks_of(database: Database, document_id: str) -> list[Any]:
    async with database.statement() as connection:
        rows = await connection.execute(
            select(Chunk).where(Chunk.document_id == document_id).order_by(Chunk.position)
        )
        return list(rows.all())


async def uploads_of(database: Database, source: str) -> int | None:
    async with database.statement() as connection:
        return await connection.scalar(select(func.count()).where(Upload.source == source))
