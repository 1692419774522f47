"""What a person wants to be ingested: files and folders of this machine, and addresses.

A document is known by its source: the path within what was given, after the name of that, or
the address. So a document keeps its name wherever on which machine its folder lies.
"""

import os
import re
import stat
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from durable_agents.agent.document_text import MAX_BYTES, is_no_document, media_type_of
from durable_agents.db.library import digest_of
from durable_agents.db.uploads import NewUpload
from durable_agents.models.errors import InputError

ADDRESS = re.compile(r"https?://", re.IGNORECASE)
MAX_ADDRESS_CHARS = 2000


@dataclass(frozen=True)
class Source:
    """A file, or an address, in which case there is no path."""

    source: str
    path: Path | None = None


@dataclass
class Given:
    """What was found in what a person gave.

    Attributes:
        sources: The files and addresses, each once.
        folders: The names of the folders that were looked through to their end.
        passed_over: How many files of folders hold pictures, sound or fonts.
        failures: What cannot be read, with the reason.
    """

    sources: list[Source] = field(default_factory=list[Source])
    folders: list[str] = field(default_factory=list[str])
    passed_over: int = 0
    failures: list[tuple[str, str]] = field(default_factory=list[tuple[str, str]])


def look_through(given: Sequence[str], name: str = "") -> Given:
    """Find what is to be ingested.

    Args:
        given: Paths and addresses.
        name: Takes the place of the name of a folder in the sources of its files; stands before
            the name of a file.

    Raises:
        InputError: Two different files would have the same source.
    """
    found = Given()
    for one in given:
        if ADDRESS.match(one):
            _add_address(found, one)
        else:
            _add_path(found, Path(one), name.strip("/"))
    found.sources = _each_once(found.sources)
    return found


def _add_address(found: Given, address: str) -> None:
    address = address.strip()
    if len(address) > MAX_ADDRESS_CHARS or not address.isprintable():
        found.failures.append((address[:100], "The address is too long or not printable."))
        return
    _, _, rest = address.partition("//")
    where = re.split(r"[/?#\\]", rest, maxsplit=1)[0]
    if "@" in where:  # before it is stored and shown
        bare = address.replace(f"{where.rpartition('@')[0]}@", "", 1)
        found.failures.append((bare, "An address may not hold a user name or a password."))
        return
    found.sources.append(Source(address))


def _add_path(found: Given, path: Path, name: str) -> None:
    if not path.is_dir():
        _add_file(found, f"{name}/{path.name}" if name else path.name, path)
        return
    name = name or path.resolve().name or "root"
    unreadable = list[str]()
    for file in _files_of(path, unreadable):
        if is_no_document(file.name):
            found.passed_over += 1
            continue
        _add_file(found, f"{name}/{file.relative_to(path).as_posix()}", file)
    found.failures += [(one, "The folder cannot be read.") for one in unreadable]
    if not unreadable:
        found.folders.append(name)


def _add_file(found: Given, source: str, file: Path) -> None:
    if source.isprintable():
        found.sources.append(Source(source, file))
    else:
        found.failures.append((source, "The file's name is not printable."))


def _files_of(folder: Path, unreadable: list[str]) -> Iterator[Path]:
    """The files below a folder in order; hidden ones and links are left out."""

    def note(error: OSError) -> None:
        unreadable.append(str(error.filename))

    for where, folders, files in os.walk(folder, onerror=note):
        folders[:] = sorted(one for one in folders if not one.startswith("."))
        for one in sorted(files):
            file = Path(where) / one
            if not one.startswith(".") and not file.is_symlink():
                yield file


def _each_once(sources: Sequence[Source]) -> list[Source]:
    by_name = dict[str, Source]()
    for one in sources:
        other = by_name.setdefault(one.source, one)
        if one.path and other.path and one.path.absolute() != other.path.absolute():
            raise InputError(
                f"{other.path} and {one.path} would both be {one.source}: ingest them one after "
                "the other, each with another --as NAME."
            )
    return list(by_name.values())


def read_source(source: Source) -> NewUpload:
    """Read a file, or take an address as it is.

    Raises:
        InputError: The file is not there, not readable, too large, empty or binary.
    """
    path = source.path
    if path is None:
        return NewUpload(source.source, source.source)
    try:
        facts = path.stat()
        if not stat.S_ISREG(facts.st_mode):
            raise InputError("It is not a file.")
        if facts.st_size > MAX_BYTES:
            raise InputError(
                f"It has {facts.st_size:,} bytes; {MAX_BYTES:,} are read at most. Split it."
            )
        content = path.read_bytes()
    except FileNotFoundError as error:
        raise InputError("There is no such file.") from error
    except OSError as error:
        raise InputError(f"It cannot be read: {error.strerror}.") from error
    media_type_of(source.source, content)
    return NewUpload(source.source, source.source, content, digest_of(content))
