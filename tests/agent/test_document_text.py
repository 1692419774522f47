import asyncio
import io
import time
import zlib

import pytest
from pypdf import PdfWriter
from pypdf.generic import DictionaryObject, NameObject, StreamObject

from durable_agents.agent import pdf_text
from durable_agents.agent.document_text import MAX_BYTES, MAX_CHARS, ReadDocument, read_document
from durable_agents.models.errors import InputError


def pdf(
    *pages: str, title: str = "", password: str | None = None, algorithm: str = "RC4-128"
) -> bytes:
    """A PDF with a page for each text; encrypted where there is a password, which may be empty."""
    writer = PdfWriter()
    font = DictionaryObject(
        {
            NameObject("/Type"): NameObject("/Font"),
            NameObject("/Subtype"): NameObject("/Type1"),
            NameObject("/BaseFont"): NameObject("/Helvetica"),
        }
    )
    for text in pages:
        page = writer.add_blank_page(600, 800)
        fonts = DictionaryObject({NameObject("/F1"): font})
        page[NameObject("/Resources")] = DictionaryObject({NameObject("/Font"): fonts})
        content = StreamObject()
        content.set_data(f"BT /F1 12 Tf 50 700 Td ({text}) Tj ET".encode() if text else b"")
        page[NameObject("/Contents")] = content
    if title:
        writer.add_metadata({"/Title": title})
    if password is not None:
        writer.encrypt(password, "an owner's", algorithm=algorithm)
    written = io.BytesIO()
    writer.write(written)
    return written.getvalue()


def unknown_pdf() -> bytes:
    """A PDF that is encrypted with a handler of a program's own."""
    return pdf("Secret", password="").replace(b"/Filter /Standard", b"/Filter /Peculiar")


def hostile_pdf(operations: bytes) -> bytes:
    """A small PDF whose page decompresses to what it is not worth reading."""
    packed = zlib.compress(operations, 9)
    parts = [
        b"<< /Type /Catalog /Pages 2 0 R >>",
        b"<< /Type /Pages /Kids [3 0 R] /Count 1 >>",
        b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 600 800] /Contents 4 0 R /Resources"
        b" << /Font << /F1 << /Type /Font /Subtype /Type1 /BaseFont /Helvetica >> >> >> >>",
        b"<< /Length %d /Filter /FlateDecode >>\nstream\n%b\nendstream" % (len(packed), packed),
    ]
    body, places = b"%PDF-1.7\n", list[int]()
    for number, part in enumerate(parts, 1):
        places.append(len(body))
        body += b"%d 0 obj\n%b\nendobj\n" % (number, part)
    table = b"xref\n0 5\n0000000000 65535 f \n" + b"".join(b"%010d 00000 n \n" % p for p in places)
    end = b"trailer\n<< /Size 5 /Root 1 0 R >>\nstartxref\n%d\n%%%%EOF\n" % len(body)
    return body + table + end


@pytest.mark.parametrize(
    ("name", "content", "title", "text"),
    [
        ("a/notes.txt", b"Just text.\n", "notes", "Just text.\n"),
        ("a/guide.md", b"# The guide\n\nBody.", "The guide", "# The guide\n\nBody."),
        ("a/guide.md", b"Intro.\n\n## Later ##\n", "Later", "Intro.\n\n## Later ##\n"),
        ("a/guide.md", b"The guide\n=========\nBody", "The guide", "The guide\n=========\nBody"),
        ("g.md", b"---\ntitle: 'Of it'\ntags: x\n---\n# H\nBody", "Of it", "# H\nBody"),
        ("g.md", b"---\r\nTitle: A: B\r\n---\r\nBody", "A: B", "Body"),
        ("g.md", b"---\nno: title\n---\n# H\nBody", "H", "# H\nBody"),
        ("g.md", b"No heading at all.", "g", "No heading at all."),
        ("p.html", b"<title>T  i</title><p>One</p><script>x</script>", "T i", "One"),
        ("page", b"<!DOCTYPE html><title>T</title>One", "T", "One"),
        ("https://x.example/a/b.html?q=1", b"<p>One</p>", "b", "One"),
        ("u.txt", "\ufeffGrüße".encode(), "u", "Grüße"),
        ("u.txt", "Grüße".encode("utf-16"), "u", "Grüße"),
        ("u.txt", "Grüße".encode("cp1252"), "u", "Grüße"),
        ("d.csv", b"a,b\n1,2\n", "d", "a,b\n1,2\n"),
        ("g.md", b"---\ntitle: ''\n---\n# C#\nBody", "C#", "# C#\nBody"),
        ("g.md", b"```\n# no\n```", "g", "```\n# no\n```"),
        ("g.md", b"# On PDFs\n\nThey begin with %PDF-1.7.", "On PDFs", None),
        ("k.html", '<meta charset="koi8-r"><title>Да</title>Нет'.encode("koi8-r"), "Да", "Нет"),
        ("k.html", '<meta charset="big5"><title>貓</title>狗'.encode("big5"), "貓", "狗"),
    ],
)
async def test_text_of_every_kind_is_read_with_its_title(
    name: str, content: bytes, title: str, text: str | None
) -> None:
    read = await read_document(name, content)

    assert (read.title, read.text) == (title, content.decode() if text is None else text)


@pytest.mark.parametrize(
    "content",
    [
        b"# a" + b" " * 200_000 + b"b",
        b"# a" + b" #" * 100_000 + b"b",
        b"---\ntitle: a" + b" " * 200_000 + b"b\n---\nText.",
        b"---\n" * 100_000,
        b"\n" * 200_000 + b"a" + b" " * 200_000,
    ],
    ids=["heading", "hashes", "front matter", "no front matter", "spaces"],
)
async def test_no_title_takes_longer_than_reading_the_file(content: bytes) -> None:
    began = time.process_time()

    await read_document("a.md", content)

    assert time.process_time() - began < 2


async def test_a_pdf_is_known_by_its_mark_with_something_before_it() -> None:
    read = await read_document("x.pdf", b"Content-Type: application/pdf\n\n" + pdf("Text"))

    assert read.text == "Text"


async def test_a_pdf_is_read_page_by_page_with_its_title() -> None:
    read = await read_document("x/report.pdf", pdf("First page", "Second page", title="A report"))

    assert read == ReadDocument("A report", "First page\n\nSecond page", "application/pdf")


async def test_a_pdf_without_a_title_is_known_by_its_name() -> None:
    assert (await read_document("x/report.pdf", pdf("Text"))).title == "report"


async def test_what_a_server_tells_decides_where_the_name_does_not() -> None:
    read = await read_document("https://x.example/a", b"<h1>Open</h1>", told="text/html")
    other = await read_document("a", "Привет".encode("koi8-r"), charset="koi8-r")

    assert (read.title, read.text) == ("a", "Open")
    assert other.text == "Привет"


@pytest.mark.parametrize("algorithm", ["RC4-128", "AES-128", "AES-256"])
async def test_an_encrypted_pdf_that_opens_to_all_is_read(algorithm: str) -> None:
    read = await read_document("a.pdf", pdf("Open to all", password="", algorithm=algorithm))

    assert read.text == "Open to all"


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "is empty"),
        (b" \n\t ", "is empty"),
        (b"\x89PNG\r\n\x1a\n\x00\x00\x00", "is a binary file"),
        (b"MZ\x00\x01\x02", "is a binary file"),
        (b"<p></p><html>", "has no text in it"),
        (b"%PDF-1.7 and nothing more", "is a broken PDF"),
        (b"%PDF-1.4\n1 0 obj\n<< /Type /Catalog >>\nendobj\ntrailer <<>>", "is a broken PDF"),
        (pdf("Secret", password="open sesame"), "is protected with a password"),
        (pdf("Secret", password="open sesame", algorithm="AES-256"), "is protected with a pass"),
        (unknown_pdf(), "is encrypted in a way that is not known"),
        (pdf("", ""), "has no text in it: its pages may be scanned pictures"),
        (b"x" * (MAX_CHARS + 1), "has more than 5,000,000 characters"),
        (b"x" * (MAX_BYTES + 1), "is larger than the 20,000,000 bytes"),
    ],
    ids=lambda given: given[:30] if isinstance(given, str) else f"{len(given)} bytes",
)
async def test_what_cannot_be_read_is_refused_with_its_reason(content: bytes, reason: str) -> None:
    with pytest.raises(InputError, match=f"^doc.html {reason}"):
        await read_document("doc.html", content)


@pytest.mark.parametrize("cut", [0.3, 0.9])
async def test_a_pdf_that_was_cut_off_is_read_as_far_as_it_goes_or_refused(cut: float) -> None:
    whole = pdf(*(f"Page {number}" for number in range(20)))

    text, reason = "", ""
    try:
        text = (await read_document("a.pdf", whole[: int(len(whole) * cut)])).text
    except InputError as error:
        reason = error.message

    assert "Page" in text or reason in {
        "a.pdf is a broken PDF and cannot be read.",
        "a.pdf has no text in it: its pages may be scanned pictures.",
    }


async def test_a_pdf_that_takes_for_ever_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pdf_text, "CPU_SECONDS", 1)
    endless = hostile_pdf(b"BT /F1 12 Tf (a) Tj ET\n" * 300_000)  # 7 MB, 20 kB as it comes
    began = time.perf_counter()

    with pytest.raises(InputError, match="takes more time or memory"):
        await read_document("a.pdf", endless)

    assert len(endless) < 200_000
    assert time.perf_counter() - began < 30


async def test_a_pdf_that_takes_all_memory_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pdf_text, "MEMORY_BYTES", 120_000_000)

    with pytest.raises(InputError, match=r"takes more time or memory|is a broken PDF"):
        await read_document("a.pdf", hostile_pdf(b" " * 60_000_000))


async def test_a_child_that_reads_a_pdf_ends_with_who_waits_for_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    endless = hostile_pdf(b"BT /F1 12 Tf (a) Tj ET\n" * 300_000)
    monkeypatch.setattr(pdf_text, "WALL_SECONDS", 0.5)

    with pytest.raises(TimeoutError):
        await pdf_text.read_pdf(endless)

    assert not [task for task in asyncio.all_tasks() if "communicate" in repr(task)]
