import pytest

from durable_agents.agent import html_text
from durable_agents.agent.html_text import extract_text
from durable_agents.agent.page_text import page_text
from durable_agents.clients.http import FetchedPage
from durable_agents.models.errors import InputError, ServiceUnavailableError


def page(body: bytes | str, kind: str = "text/html") -> FetchedPage:
    content = body.encode() if isinstance(body, str) else body
    return FetchedPage("http://example.com/page", 200, kind, "", content)


HTML = """<!doctype html><html><head><title> Opening
 hours </title><style>p {color: red}</style></head>
<body><script>steal()</script><!-- hidden --><h1>We are <em>open</em></h1>
Every day, except
on Sundays.<p>Morning<br>Evening<table><tr><td>Mon</td><td>9&ndash;5</td></tr></table>
<pre>one
  two</pre><ul><li>tea<li>coffee</ul><noscript>no</noscript><svg><title>icon</title></svg>"""


def test_html_is_read_as_a_person_sees_it() -> None:
    read = extract_text(HTML)

    assert read.title == "Opening hours"
    assert read.text.splitlines() == [
        "We are open",
        "Every day, except on Sundays.",
        "Morning",
        "Evening",
        "Mon 9–5",  # noqa: RUF001 - the page's own dash
        "one",
        "two",
        "tea",
        "coffee",
    ]


@pytest.mark.parametrize("html", ["", "no markup", "<p>unclosed <b>bold", "</p></div>"])
def test_any_text_can_be_read_as_html(html: str) -> None:
    assert "<" not in extract_text(html).text


async def test_a_page_is_read_in_a_child_process() -> None:
    read = await page_text(page("<title>Grün</title><p>drüben"))

    assert (read.title, read.text) == ("Grün", "drüben")


async def test_html_that_takes_for_ever_or_all_memory_is_given_up(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(html_text, "CPU_SECONDS", 1)
    opened = "".join(f"<b id={number}>" for number in range(50_000))
    swelling = f"<div>{opened}</div>" + "<div>x</div>" * 50_000  # by the standard 2.5e9 elements

    with pytest.raises(InputError, match="more time or memory"):
        await page_text(page(swelling))


async def test_html_that_is_not_read_in_time_is_worth_another_try(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(html_text, "WALL_SECONDS", 0)

    with pytest.raises(ServiceUnavailableError, match="not read in time"):
        await page_text(page("<p>hello"))


@pytest.mark.parametrize(
    "kind", ["", "text/plain", "application/json", "application/ld+json", "image/svg+xml"]
)
async def test_text_of_other_kinds_is_left_as_it_is(kind: str) -> None:
    read = await page_text(page(' {"a":  [1, 2]}\n', kind))

    assert (read.title, read.text) == ("", '{"a":  [1, 2]}')


@pytest.mark.parametrize("kind", ["image/png", "application/pdf", "application/octet-stream"])
async def test_what_is_not_text_is_refused_by_its_kind(kind: str) -> None:
    with pytest.raises(InputError, match=f"http://example.com/page is {kind}, which is not text"):
        await page_text(page("%PDF", kind))


@pytest.mark.parametrize("kind", ["", "text/plain", "text/html"])
async def test_what_is_not_text_is_refused_whatever_its_kind_says(kind: str) -> None:
    with pytest.raises(InputError, match="is not text"):
        await page_text(page(b"\x7fELF\x02\x01\x01\x00\x00", kind))
