"""The text of a PDF, worked out in a process of its own.

A PDF is a program for a page: small ones can be made to take hours or all memory, and every
year new ways are found. So a PDF is read by a child with bounds of its own: this very file, run
as a script. It imports nothing of the project.
"""

import io
import json
import logging
import resource
import sys
from dataclasses import asdict, dataclass
from typing import Any

CPU_SECONDS = 60  # an honest page takes 10 to 100 ms
MEMORY_BYTES = 1024 * 1024 * 1024
WALL_SECONDS = 120  # on a machine that has more to do
MAX_PAGES = 2_000
MAX_CHARS = 5_000_000

TOO_LONG, LOCKED, ENCRYPTED, BROKEN = "too_long", "locked", "encrypted", "broken"


@dataclass(frozen=True)
class PdfText:
    """A PDF's title, empty where it has none, and its text, one paragraph a page.

    `problem` is empty, or says why there is no text: `too_long`, `locked`, `encrypted`, `broken`.
    """

    title: str = ""
    text: str = ""
    problem: str = ""


async def read_pdf(content: bytes) -> PdfText:
    """Read a PDF in a child process.

    Raises:
        UnreadableError: It takes more than `CPU_SECONDS` or `MEMORY_BYTES`.
        TimeoutError: It was not done in time, because the machine is busy.
    """
    from durable_agents.agent.bounded_child import read_in_child  # the script does without

    read = await read_in_child(
        __file__,
        content,
        cpu_seconds=CPU_SECONDS,
        memory_bytes=MEMORY_BYTES,
        wall_seconds=WALL_SECONDS,
    )
    return PdfText(**read)


def extract_text(content: bytes) -> PdfText:
    """Read a PDF here and now, bounded only in pages and characters."""
    from pypdf import PdfReader, errors

    try:
        reader = PdfReader(io.BytesIO(content))
        if reader.is_encrypted and not reader.decrypt(""):
            return PdfText(problem=LOCKED)
        if len(reader.pages) > MAX_PAGES:
            return PdfText(problem=TOO_LONG)
        return _text_of(reader)
    except errors.FileNotDecryptedError:
        return PdfText(problem=LOCKED)
    except (errors.DependencyError, NotImplementedError):
        return PdfText(problem=ENCRYPTED)  # in a way that takes another library
    except MemoryError:
        raise
    except Exception:  # noqa: BLE001 - a broken PDF makes the library raise anything
        return PdfText(problem=BROKEN)


def _text_of(reader: Any) -> PdfText:
    pages, chars = list[str](), 0
    for page in reader.pages:
        lines = (" ".join(line.split()) for line in page.extract_text().splitlines())
        pages.append("\n".join(line for line in lines if line))
        chars += len(pages[-1])
        if chars > MAX_CHARS:
            return PdfText(problem=TOO_LONG)
    named = reader.metadata.title if reader.metadata else None
    title = " ".join(str(named or "").split())[:300]
    return PdfText(title=title, text="\n\n".join(page for page in pages if page))


def main(cpu_seconds: int, memory_bytes: int) -> None:
    """Read a PDF from standard input, write a `PdfText` as JSON to standard output."""
    resource.setrlimit(resource.RLIMIT_CPU, (cpu_seconds, cpu_seconds))
    resource.setrlimit(resource.RLIMIT_AS, (memory_bytes, memory_bytes))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    logging.disable()
    content = sys.stdin.buffer.read()
    sys.stdout.write(json.dumps(asdict(extract_text(content))))


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
