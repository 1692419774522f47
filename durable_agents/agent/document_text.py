"""Reading a document, whatever kind of file it is: plain text, Markdown, HTML or PDF."""

import codecs
import mimetypes
import re
from dataclasses import dataclass
from pathlib import PurePosixPath

from durable_agents.agent import pdf_text
from durable_agents.agent.bounded_child import UnreadableError
from durable_agents.agent.html_text import read_html
from durable_agents.agent.page_text import HTML_TYPES
from durable_agents.clients.http import CHARSET
from durable_agents.db.chunking import first_heading
from durable_agents.models.errors import InputError, ServiceUnavailableError

MAX_BYTES = 20_000_000
MAX_CHARS = 5_000_000
MAX_TITLE_CHARS = 300
PDF, HTML, MARKDOWN, PLAIN = "application/pdf", "text/html", "text/markdown", "text/plain"

_MARKDOWN = frozenset({".md", ".markdown", ".mdown", ".mkd"})
_HTML = frozenset({".html", ".htm", ".xhtml"})
_PDF_MARK = b"%PDF-"  # a text about PDFs may have it, too
_SNIFFED = 1024  # bytes at the beginning that tell what a file is
_BOMS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_CONTROLS = re.compile(rb"[\x00-\x08\x0e-\x1a\x1c-\x1f]")
_FRONT_MATTER = re.compile(r"\A---[ \t]*\r?\n(.*?)\r?\n(?:---|\.\.\.)[ \t]*(?:\r?\n|\Z)", re.DOTALL)
# None of these has two repetitions side by side that take the same characters: a document could
# make such a one take hours, and Python's `re` lets nothing else run meanwhile.
_NAMED_TITLE = re.compile(r"^title[ \t]*:(.+)$", re.MULTILINE | re.IGNORECASE)
_UNDERLINED = re.compile(r"(\S[^\r\n]{0,300})\r?\n(?:={3,}|-{3,})[ \t]*(?:\r?\n|\Z)")
_TITLE_WITHIN = 20_000  # characters at the beginning
_FIT_FOR_TEXT = str.maketrans({"\x00": None})  # PostgreSQL's text cannot hold it
_NOT_DOCUMENTS = ("image/", "audio/", "video/", "font/")


@dataclass(frozen=True)
class ReadDocument:
    """What a document says.

    Attributes:
        title: Its own, or the name it was given by.
        text: Without markup, but for Markdown, whose headings search looks at.
        media_type: What it was read as.
    """

    title: str
    text: str
    media_type: str


def is_no_document(name: str) -> bool:
    """Whether a file's name says that there is no text in it: a picture, sound, a font."""
    return (mimetypes.guess_type(name)[0] or "").startswith(_NOT_DOCUMENTS)


def media_type_of(name: str, content: bytes, told: str = "") -> str:
    """What a file is, by its first bytes, by what a server told of it, and by its name.

    Raises:
        InputError: It is empty, or binary and no PDF.
    """
    start = content[:_SNIFFED]
    if not content.strip():
        raise InputError(f"{name} is empty.")
    suffix = PurePosixPath(name.partition("?")[0]).suffix.lower()
    marked = start.startswith(tuple(bom for bom, _ in _BOMS))
    is_binary = not marked and _CONTROLS.search(content[:65_536]) is not None
    if start.lstrip().startswith(_PDF_MARK):
        return PDF
    if _PDF_MARK in start and (is_binary or suffix == ".pdf" or told == PDF):
        return PDF  # something stands before it, as old mail programs left it
    if is_binary:
        raise InputError(f"{name} is a binary file: only text, Markdown, HTML and PDF can be read.")
    if told in HTML_TYPES or suffix in _HTML:
        return HTML
    if told == MARKDOWN or suffix in _MARKDOWN:
        return MARKDOWN
    if told in {"", PLAIN} and re.match(rb"\s*(<!doctype html|<html)", start, re.IGNORECASE):
        return HTML
    return PLAIN


async def read_document(
    name: str, content: bytes, *, told: str = "", charset: str = ""
) -> ReadDocument:
    """Read a document within bounds of time and memory.

    Args:
        name: What people know it by: a path or an address.
        content: Its bytes.
        told: The media type that a server told, if one did.
        charset: The encoding that a server told, if one did.

    Raises:
        InputError: It is empty, binary, broken, protected, too long, or has no text.
        ServiceUnavailableError: The machine is too busy to read it.
    """
    if len(content) > MAX_BYTES:
        raise InputError(f"{name} is larger than the {MAX_BYTES:,} bytes that are read at most.")
    kind = media_type_of(name, content, told)
    try:
        title, text = await _read(name, kind, content, charset)
    except TimeoutError as error:
        raise ServiceUnavailableError(f"{name} was not read in time.") from error
    text = text.translate(_FIT_FOR_TEXT).encode("utf-8", "replace").decode("utf-8")
    if not text.strip():
        raise InputError(f"{name} has no text in it{_why_none(kind)}.")
    if len(text) > MAX_CHARS:
        raise InputError(f"{name} has more than {MAX_CHARS:,} characters: split it.")
    title = " ".join(title.translate(_FIT_FOR_TEXT).split()).encode("utf-8", "replace").decode()
    return ReadDocument(title[:MAX_TITLE_CHARS] or name_only(name), text, kind)


def name_only(name: str) -> str:
    """The last part of a path or an address, without its ending."""
    path = name.partition("?")[0].rstrip("/")
    return PurePosixPath(path).stem or name


async def _read(name: str, kind: str, content: bytes, charset: str) -> tuple[str, str]:
    """The title, if it has one, and the text."""
    if kind == PDF:
        return await _read_pdf(name, content)
    if kind == HTML and not charset:
        found = CHARSET.search(content[:_SNIFFED])
        charset = found[1].decode("ascii", "replace") if found else ""
    text = _decoded(content, charset)
    if kind == HTML:
        try:
            page = await read_html(text)
        except UnreadableError as error:
            raise InputError(f"{name} takes more time or memory than reading it may.") from error
        return page.title, page.text
    return _titled(text) if kind == MARKDOWN else ("", text)


async def _read_pdf(name: str, content: bytes) -> tuple[str, str]:
    try:
        read = await pdf_text.read_pdf(content)
    except UnreadableError as error:
        raise InputError(f"{name} takes more time or memory than reading it may.") from error
    problems = {
        pdf_text.LOCKED: "is protected with a password: save it without one",
        pdf_text.ENCRYPTED: "is encrypted in a way that is not known: save it without encryption",
        pdf_text.TOO_LONG: (
            f"has more than {pdf_text.MAX_PAGES:,} pages or {MAX_CHARS:,} characters: split it"
        ),
        pdf_text.BROKEN: "is a broken PDF and cannot be read",
    }
    if read.problem:
        raise InputError(f"{name} {problems[read.problem]}.")
    return read.title, read.text


def _why_none(kind: str) -> str:
    return ": its pages may be scanned pictures" if kind == PDF else ""


def _decoded(content: bytes, charset: str) -> str:
    """Bytes as text: by their mark, as UTF-8, as they were said to be, else as Windows wrote it."""
    for mark, encoding in _BOMS:
        if content.startswith(mark):
            return content.removeprefix(codecs.BOM_UTF8).decode(encoding, "replace")
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError:
        pass
    if re.fullmatch(r"(iso-8859|windows|koi8|shift|euc|big5|gb)[\w-]*", charset, re.IGNORECASE):
        try:
            return content.decode(charset, "replace")
        except LookupError:
            pass
    return content.decode("cp1252", "replace")


def _titled(text: str) -> tuple[str, str]:
    """The title of a Markdown text, and the text without its front matter."""
    matter = _FRONT_MATTER.match(text)
    body = text[matter.end() :] if matter else text
    named = _NAMED_TITLE.search(matter[1]) if matter else None
    if named and (name := named[1].strip().strip("\"'")):
        return name, body
    beginning = body[:_TITLE_WITHIN].lstrip()
    if underlined := _UNDERLINED.match(beginning):
        return underlined[1], body
    return first_heading(beginning.replace("\r\n", "\n")), body
