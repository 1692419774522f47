"""Cut documents into chunks for search, and chunks into excerpts."""

import re
import textwrap
from collections.abc import Iterable, Iterator

CHUNKING = 2  # part of a document's hash: raise it when documents must be cut anew
CHUNK_CHARS = 1000
MAX_HEADING_CHARS = 300  # each passage repeats its headings; a longer line is text
HEADING = re.compile(r"(#{1,6})[ \t]+(.+)")
FENCES = ("```", "~~~")  # in a block of code, what looks like a heading is a comment
SENTENCE_ENDS = re.compile(r"(?<=[.!?…]\s)|(?<=\n)")


def split(title: str, content: str) -> list[str]:
    """Cut a text at its paragraphs into chunks of about 1000 characters.

    Each chunk begins with the title and, in Markdown, the headings that it stands under, so that
    it can be found and understood without the rest. A section begins a chunk of its own.
    """
    chunks: list[str] = []
    for headings, text in _sections(content.replace("\r\n", "\n")):
        name = ": ".join(dict.fromkeys([title, *headings]))
        paragraphs = re.split(r"\n\s*\n", text)
        pieces = [piece for paragraph in paragraphs for piece in _pieces(paragraph.strip())]
        chunks += [f"{name}\n\n{body}" for body in _packed(pieces, "\n\n")]
    return chunks or [title]


def excerpt(marked: str, marks: re.Pattern[str], room: int) -> str:
    """The sentences in a row that hold the most marks, the first such row.

    Args:
        marked: A text in which what was looked for is marked.
        marks: What marks look like; the excerpt holds none.
        room: How many characters the excerpt may have.
    """
    sentences = [marks.sub("", part) for part in SENTENCE_ENDS.split(marked)]
    found = [len(marks.findall(part)) for part in SENTENCE_ENDS.split(marked)]
    best, best_found = "", -1
    for start in range(len(sentences)):
        end, chars = start, 0
        while end < len(sentences) and chars + len(sentences[end].rstrip()) <= room:
            chars += len(sentences[end])
            end += 1
        end = max(end, start + 1)
        if sum(found[start:end]) > best_found:
            best, best_found = "".join(sentences[start:end]), sum(found[start:end])
    return _shortened(best.strip(), room)


def first_heading(content: str) -> str:
    """The text of the first heading of a Markdown text; empty when there is none."""
    return next((headings[-1] for headings, _ in _sections(content) if headings), "")


def _heading_of(line: str) -> tuple[int, str] | None:
    """The level and the text of a line of Markdown that is a heading."""
    found = HEADING.fullmatch(line) if len(line) <= MAX_HEADING_CHARS else None
    if found is None:
        return None
    text = found[2].strip()
    bare = text.rstrip("#")
    text = text if bare and not bare[-1].isspace() else bare.rstrip()  # "C#" keeps its own
    return (len(found[1]), text) if text else None


def _sections(content: str) -> Iterator[tuple[list[str], str]]:
    """The sections of a Markdown text: the headings above, and what stands below them."""
    headings, lines, fence = dict[int, str](), list[str](), ""
    for line in content.split("\n"):
        fence = _fence_after(line, fence)
        found = None if fence else _heading_of(line)
        if found is None:
            lines.append(line)
            continue
        yield [*headings.values()], "\n".join(lines)
        level, name = found
        above = {number: text for number, text in headings.items() if number < level}
        headings, lines = {**above, level: name}, []
    yield [*headings.values()], "\n".join(lines)


def _fence_after(line: str, fence: str) -> str:
    """What ends the block of code that a line is in or begins; empty outside of one."""
    mark = line.lstrip(" ")[:3]
    if fence:
        return "" if mark == fence else fence
    return mark if mark in FENCES else ""


def _pieces(paragraph: str) -> list[str]:
    """A paragraph, cut at its sentences when it is longer than a chunk."""
    if len(paragraph) <= CHUNK_CHARS:
        return [paragraph] if paragraph else []
    sentences = [part.strip() for part in SENTENCE_ENDS.split(paragraph)]
    return _packed(
        [line for sentence in sentences for line in textwrap.wrap(sentence, CHUNK_CHARS)], " "
    )


def _packed(pieces: Iterable[str], separator: str) -> list[str]:
    """Join neighbours as long as they fit into a chunk."""
    packed: list[str] = []
    for piece in pieces:
        if packed and len(packed[-1]) + len(separator) + len(piece) <= CHUNK_CHARS:
            packed[-1] += separator + piece
        else:
            packed.append(piece)
    return packed


def _shortened(text: str, room: int) -> str:
    if len(text) <= room:
        return text
    return text[: room - 1].rsplit(None, 1)[0] + "…"
