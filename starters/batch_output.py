"""Writes what became of each line of a batch: whole and in order, or not at all."""

import json
import os
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from durable_agents.db import batch_jobs
from durable_agents.db.engine import Database
from durable_agents.models.errors import InputError
from durable_agents.models.jobs import JobRow
from starters.batching import BatchOptions, key_of
from starters.job_lines import LINES_AT_ONCE, Line, LineFile, portions

GONE = "Its result is not kept any more. Start it again under another --name."


def check_output(output: Path, source: Path) -> None:
    """See to it before anything is started that the output can be written.

    Raises:
        InputError: It cannot.
    """
    if output.is_dir() or not output.parent.is_dir() or not os.access(output.parent, os.W_OK):
        raise InputError(f"{output} cannot be written: give a file in a folder that is there.")
    if output.exists() and output.samefile(source):
        raise InputError(f"{output} is the input. Give another file for the output.")


async def write_output(
    database: Database, options: BatchOptions, lines: LineFile, output: Path
) -> dict[str, int]:
    """Write a line of JSON for each line of the input, in their order.

    Returns:
        How many lines ended how.

    Raises:
        InputError: The output cannot be written.
    """
    counted: dict[str, int] = {}
    try:
        handle, name = tempfile.mkstemp(prefix=f".{output.name}.", dir=output.parent)
        try:
            with os.fdopen(handle, "w", encoding="utf-8", errors="backslashreplace") as file:
                for some in portions(lines.lines(), LINES_AT_ONCE):
                    for told in await _told(database, options, some):
                        counted[told["status"]] = counted.get(told["status"], 0) + 1
                        file.write(json.dumps(told, ensure_ascii=False) + "\n")
                file.flush()
                os.fsync(file.fileno())
            os.chmod(name, 0o644)  # noqa: PTH101 - quick, like the three below
            os.replace(name, output)  # noqa: PTH105
        except BaseException:
            os.unlink(name)  # noqa: PTH108
            raise
    except OSError as error:
        raise InputError(f"{output} cannot be written: {error.strerror}.") from error
    return counted


async def _told(
    database: Database, options: BatchOptions, some: Sequence[Line]
) -> list[dict[str, Any]]:
    keys = [key_of(options.batch, line) for line in some if line.asked is not None]
    async with database.statement() as connection:
        rows = await batch_jobs.jobs_by_key(connection, options.pool, keys)
    return [_outcome_of(line, rows.get(key_of(options.batch, line))) for line in some]


def _outcome_of(line: Line, row: JobRow | None) -> dict[str, Any]:
    """A line of the output."""
    told: dict[str, Any] = {"line": line.number}
    if line.asked is None:
        return {**told, "status": "invalid", "error": _error("InputError", line.why_not)}
    if row is None:
        return {**told, "status": "gone", "error": _error("NotFoundError", GONE)}
    told |= {"status": row.status, "job": row.job_id}
    if row.status == "done" and not row.error:
        return {**told, "result": row.result}
    return {**told, "error": _error(row.error_type, row.error)}


def _error(kind: str, message: str) -> dict[str, str]:
    return {"type": kind, "message": message}
