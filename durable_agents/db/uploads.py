"""What is to be ingested: files as they came, and addresses that are still to be fetched.

A file goes through the database because the worker that reads it may be on another machine. Its
row is deleted in the transaction that writes the document; who finds it gone writes nothing, so
of two versions of a document the later one stays, in whatever order their jobs end.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, delete, exists, func, select, text, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from durable_agents.db.pool_tables import Job, Upload

LOCK = 0x0D08_AB1E_1DE8
OPEN = ("queued", "delayed", "running")


@dataclass(frozen=True)
class NewUpload:
    """A file, or an address, in which case there is no content and no digest yet."""

    source: str
    name: str
    content: bytes | None = None
    digest: str = ""


@dataclass(frozen=True)
class StoredUpload:
    """An upload as its job finds it."""

    source: str
    name: str
    content: bytes | None
    digest: str


@dataclass(frozen=True)
class Finished:
    """What came of some jobs: how many are finished, and what they and their failures say."""

    done: int
    open: int
    chunks: int
    unchanged: int
    failures: tuple[tuple[int, str], ...]


async def one_at_a_time(connection: AsyncConnection) -> None:
    """Let nobody else hand over until the transaction ends; else both would hand over the same."""
    await connection.execute(select(func.pg_advisory_xact_lock(LOCK)))


async def open_jobs(connection: AsyncConnection, digests: Mapping[str, str]) -> dict[str, int]:
    """The jobs that have still to ingest some sources in the version of these digests."""
    rows = await connection.execute(
        select(Upload.source, Upload.digest, Job.job_id)
        .join(Job, Job.job_id == Upload.job_id)
        .where(Upload.source.in_(digests), Job.status.in_(OPEN))
    )
    return {source: job_id for source, digest, job_id in rows if digests[source] == digest}


async def add_uploads(connection: AsyncConnection, uploads: Sequence[NewUpload]) -> list[int]:
    """Store uploads in the place of older ones of the same sources; gives their ids in order."""
    sources = [upload.source for upload in uploads]
    await connection.execute(delete(Upload).where(Upload.source.in_(sources)))
    return [
        int(await connection.scalar(insert(Upload).values(**vars(one)).returning(Upload.upload_id)))  # pyright: ignore[reportArgumentType] - a row that was written has an id
        for one in uploads
    ]


async def tie_to_jobs(connection: AsyncConnection, jobs: Mapping[int, int]) -> None:
    """Note which job ingests which upload, by the uploads' ids."""
    for upload_id, job_id in jobs.items():
        await connection.execute(
            update(Upload).where(Upload.upload_id == upload_id).values(job_id=job_id)
        )


async def read_upload(connection: AsyncConnection, upload_id: int) -> StoredUpload | None:
    """An upload; None when a later version has taken its place."""
    row = (
        await connection.execute(
            select(Upload.source, Upload.name, Upload.content, Upload.digest).where(
                Upload.upload_id == upload_id
            )
        )
    ).one_or_none()
    return StoredUpload(*row) if row is not None else None


async def take_upload(connection: AsyncConnection, upload_id: int) -> bool:
    """Delete an upload whose document is about to be written; False when it is gone."""
    taken = await connection.scalar(
        delete(Upload).where(Upload.upload_id == upload_id).returning(Upload.upload_id)
    )
    return taken is not None


async def withdraw(connection: AsyncConnection, condition: ColumnElement[bool]) -> list[str]:
    """Delete uploads whose documents are not wanted any more; their jobs then write nothing.

    Returns:
        Their sources.
    """
    gone = await connection.scalars(delete(Upload).where(condition).returning(Upload.source))
    return list(gone)


async def delete_leftovers(connection: AsyncConnection) -> None:
    """Delete uploads whose jobs are over: those that failed for good or were cancelled."""
    at_work = exists().where(Job.job_id == Upload.job_id, Job.status.in_(OPEN))
    await connection.execute(delete(Upload).where(~at_work))


async def finished(connection: AsyncConnection, job_ids: Collection[int]) -> Finished:
    """What has come of some jobs so far."""
    rows = await connection.execute(
        text(
            "SELECT count(*) FILTER (WHERE status = 'done'),"
            " count(*) FILTER (WHERE status IN ('queued', 'delayed', 'running')),"
            " COALESCE(sum((result->>'chunks')::int), 0),"
            " count(*) FILTER (WHERE (result->>'unchanged')::bool)"
            " FROM jobs WHERE job_id = ANY(:ids)"
        ),
        {"ids": list(job_ids)},
    )
    done, at_work, chunks, unchanged = rows.one()
    failed = await connection.execute(
        select(Job.job_id, func.coalesce(func.nullif(Job.error, ""), Job.status))
        .where(Job.job_id.in_(job_ids), Job.status.in_(("failed", "cancelled")))
        .order_by(Job.job_id)
    )
    failures = tuple((job_id, str(reason)) for job_id, reason in failed)
    return Finished(done, at_work, int(chunks), unchanged, failures)


async def open_payloads(connection: AsyncConnection, kind: str) -> list[tuple[int, Any]]:
    """The jobs of a kind that are not finished, with their payloads."""
    rows = await connection.execute(
        select(Job.job_id, Job.payload).where(Job.kind == kind, Job.status.in_(OPEN))
    )
    return [(job_id, payload) for job_id, payload in rows]
