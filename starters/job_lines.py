"""Reads a file of JSON lines, each of which is to become a run of a flow; never all at once."""

import hashlib
import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from io import BufferedReader
from itertools import islice
from pathlib import Path
from typing import Any, TypeVar, cast

from pydantic import BaseModel, ValidationError

from durable_agents.db.jobs import payload_of
from durable_agents.models.errors import InputError
from durable_agents.models.jobs import MAX_PAYLOAD_BYTES, NewJob
from starters.terminal import said_of

PIECE = 1 << 20
BOM = b"\xef\xbb\xbf"
LINES_AT_ONCE = 200  # that are held in memory, and go into one transaction

Item = TypeVar("Item")


@dataclass(frozen=True)
class Line:
    """A line by its number, from 1: what it asks for, or why it cannot be done."""

    number: int
    asked: dict[str, Any] | None = None
    why_not: str = ""


class LineFile:
    """A file of JSON lines. It is read several times, and must stay as it is.

    Args:
        path: The file.
        model: What each line has to fit.
    """

    def __init__(self, path: Path, model: type[BaseModel]) -> None:
        self._path = path
        self._model = model

    def digest(self) -> str:
        """What stands for its content.

        Raises:
            InputError: It cannot be read.
        """
        with self._opened() as file:
            return hashlib.file_digest(file, "sha256").hexdigest()

    def lines(self) -> Iterator[Line]:
        """Its lines in order; those that are blank are passed over.

        Raises:
            InputError: It cannot be read.
        """
        with self._opened() as file:
            for number, raw in enumerate(_raw_lines(file), 1):
                content = raw.removeprefix(BOM) if number == 1 else raw
                if content.strip():
                    yield self._line(number, content)

    def _opened(self) -> BufferedReader:
        try:
            if self._path.is_file():
                return self._path.open("rb")
        except OSError as error:
            raise InputError(f"{self._path} cannot be read: {error.strerror}.") from error
        raise InputError(
            f"{self._path} is no file. Give a file of JSON lines: it is read more than once."
        )

    def _line(self, number: int, raw: bytes) -> Line:
        if len(raw) > MAX_PAYLOAD_BYTES:
            why_not = f"The line has over {MAX_PAYLOAD_BYTES:,} bytes; store what is large."
            return Line(number, why_not=why_not)
        try:
            asked = json.loads(raw)
        except UnicodeDecodeError:
            return Line(number, why_not="The line is not text in UTF-8.")
        except (ValueError, RecursionError) as error:
            return Line(number, why_not=f"The line is not JSON: {error}.")
        if not isinstance(asked, dict):
            return Line(number, why_not="The line is not a JSON object.")
        return self._fitting(number, cast(dict[str, Any], asked))

    def _fitting(self, number: int, asked: dict[str, Any]) -> Line:
        """The line, if it fits the flow and the pool takes it."""
        unknown = [name for name in asked if name not in self._model.model_fields]
        if unknown:
            known = ", ".join(self._model.model_fields)
            return Line(number, why_not=f"The flow takes no {unknown[0]!a}; it takes {known}.")
        try:
            self._model.model_validate(asked)
            payload_of(NewJob(kind="workflow", payload=asked))
        except ValidationError as error:
            return Line(number, why_not=said_of(error))
        except InputError as error:
            return Line(number, why_not=error.message)
        return Line(number, asked)


def _raw_lines(file: BufferedReader) -> Iterator[bytes]:
    """Lines, of which one that is far too long comes cut, but longer than is allowed."""
    while raw := file.readline(PIECE):
        yield raw
        while not raw.endswith(b"\n") and (raw := file.readline(PIECE)):
            pass


def portions(items: Iterable[Item], size: int) -> Iterator[list[Item]]:
    """Items, so many at a time."""
    source = iter(items)
    while some := list(islice(source, size)):
        yield some
