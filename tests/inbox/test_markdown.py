"""Nothing that a model or a document wrote can run, load, or dress up as the page."""

from urllib.parse import quote

import pytest

from inbox.markdown import LONGEST, TAGS, render
from inbox.revealing import reveal
from tests.inbox.browsing import Browser, elements_of
from tests.inbox.fake_store import FakeStore, a_request

OURS = ["/static/htmx.js", "/static/keys.js"]
ATTEMPTS = [
    "<script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    "[click](javascript:alert(1))",
    "[click](JaVaScRiPt:alert(1))",
    "[click](&#106;avascript:alert(1))",
    "[click](data:text/html;base64,PHNjcmlwdD4=)",
    "[click](vbscript:msgbox)",
    "<svg/onload=alert(1)>",
    "<svg><animate onbegin=alert(1)></svg>",
    "<style>body{display:none}</style>",
    '<p style="position:fixed">x</p>',
    '<form action="/sign-out" method="post"><button>x</button></form>',
    '<iframe srcdoc="<script>alert(1)</script>"></iframe>',
    '<a href="/x" hx-get="/x" hx-trigger="load">x</a>',
    '<meta http-equiv="refresh" content="0;url=https://evil.example">',
    '<base href="https://evil.example">',
    '<math><mi xlink:href="javascript:alert(1)">x</mi></math>',
    "`</code><script>alert(1)</script>`",
    "```html\n</pre><script>alert(1)</script>\n```",
    '[x](https://a.example "\\" onmouseover=alert(1) x=\\"")',
    "![x](javascript:alert(1))",
    '<https://a.example/" onmouseover="alert(1)>',
    "| a |\n|---|\n| <img src=x onerror=alert(1)> |",
]


@pytest.mark.parametrize("text", ATTEMPTS)
def test_nothing_in_a_text_runs(text: str) -> None:
    found = elements_of(str(render(text)))

    assert {tag for tag, _ in found} <= TAGS
    for _, attributes in found:
        assert attributes.keys() <= {"href", "title", "rel"}
        assert attributes.get("href", "https:").startswith(("https:", "http:", "mailto:"))


@pytest.mark.parametrize("text", ATTEMPTS)
async def test_nothing_anywhere_on_a_page_runs(
    browser: Browser, store: FakeStore, text: str
) -> None:
    names = ("title", "subject", "asked_by", "for_whom", "consequences", "content")
    everywhere = dict.fromkeys(names, text)
    store.requests[1] = a_request(1, **everywhere, previous_revision=1, previous_content="x")
    store.requests[3] = a_request(
        3, **everywhere, kind="tool", tool=text, arguments={text: text, "b": [text]}
    )
    store.requests[4] = a_request(
        4, **everywhere, status="rejected", decided_by=text, feedback=text
    )

    for path in (
        "/",
        "/history",
        "/requests/1",
        "/requests/3",
        "/requests/4",
        f"/?search={quote(text)}",
    ):
        found = elements_of((await browser.get(path)).text)

        scripts = [attributes for tag, attributes in found if tag == "script"]
        assert [one["src"].split("?")[0] for one in scripts] == OURS
        assert not {"img", "style", "iframe", "base", "math", "animate"} & {tag for tag, _ in found}
        assert [a for tag, a in found if tag == "meta" and "http-equiv" in a] == []
        for _, attributes in found:
            assert not [name for name in attributes if name == "style" or name.startswith("on")]
            assert attributes.get("href", "/").startswith(("/", "#", "http://", "https://"))
            assert attributes.get("hx-get", "/waiting").startswith(("/waiting", "/requests/"))
            assert attributes.get("action", "/").startswith("/")


def test_markdown_is_shown_as_a_person_reads_it() -> None:
    made = str(
        render("# Title\n\nA *word*, ~~gone~~.\n\n- one\n\n| a | b |\n|---|---|\n| 1 | 2 |\n")
    )

    assert "<h3>Title</h3>" in made
    assert "<em>word</em>" in made
    assert "<s>gone</s>" in made
    assert "<td>1</td>" in made


def test_links_say_nothing_of_who_follows_them() -> None:
    made = str(render("[docs](https://a.example/b)"))

    assert made == (
        '<p><a href="https://a.example/b" rel="noopener noreferrer nofollow">docs</a></p>\n'
    )


def test_a_picture_is_a_link_so_that_nobody_learns_who_reads() -> None:
    made = str(render("![chart](https://spy.example/pixel.png)"))

    assert "<img" not in made
    assert '<a href="https://spy.example/pixel.png"' in made
    assert "picture: chart</a>" in made


def test_a_very_long_text_is_shown_as_it_is_written() -> None:
    made = str(render("*x* " * LONGEST))

    assert made.startswith("<pre>*x* *x*")


def test_hidden_characters_are_written_out() -> None:
    assert reveal("exe\u202egpj") == "exe⟨U+202E⟩gpj"
    assert reveal("a\u200bb\x00\ufeff") == "a⟨U+200B⟩b⟨U+0000⟩⟨U+FEFF⟩"
    assert reveal("Grüße, नमस्ते\n\t👩‍🚒 a\u00a0b") == "Grüße, नमस्ते\n\t👩‍🚒 a\u00a0b"
