"""Markdown as HTML in which nothing can run, load or dress up as the page.

The renderer makes no HTML of what it is given but Markdown's own, and nh3 (the Ammonia
sanitizer) then lets only the elements through that are listed here. Pictures are shown as links:
a picture would tell its server who reads, and when.
"""

import nh3
from markdown_it import MarkdownIt
from markdown_it.renderer import RendererHTML
from markdown_it.token import Token
from markupsafe import Markup

from inbox.revealing import reveal

LONGEST = 60_000  # characters, some seconds at worst; longer texts are shown as they are written
_INLINE = ("a", "br", "code", "del", "em", "s", "strong")
_BLOCKS = ("blockquote", "h1", "h2", "h3", "h4", "h5", "h6", "hr", "li", "ol", "p", "pre", "ul")
_TABLES = ("table", "tbody", "td", "th", "thead", "tr")
TAGS = frozenset((*_INLINE, *_BLOCKS, *_TABLES))
ATTRIBUTES = {"a": {"href", "title"}, "ol": {"start"}}
SCHEMES = frozenset({"http", "https", "mailto"})

_PARSER = MarkdownIt("commonmark", {"html": False}).enable(["table", "strikethrough"])


def render(text: str) -> Markup:
    """The HTML of a text."""
    shown = reveal(text)
    if len(shown) > LONGEST:
        return Markup("<pre>{}</pre>").format(shown)
    tokens = _PARSER.parse(shown)
    for token in tokens:
        _make_links_of_pictures(token)
        if token.tag in {"h1", "h2", "h3", "h4"}:  # the page has its own headings above them
            token.tag = f"h{int(token.tag[1]) + 2}"
    renderer = _PARSER.renderer
    if not isinstance(renderer, RendererHTML):
        raise TypeError("the renderer makes no HTML")
    made = renderer.render(tokens, _PARSER.options, {})
    return Markup(  # noqa: S704 - nh3 has just cleaned it
        nh3.clean(
            made,
            tags=set(TAGS),
            attributes=ATTRIBUTES,
            url_schemes=set(SCHEMES),
            link_rel="noopener noreferrer nofollow",
        )
    )


def _make_links_of_pictures(token: Token) -> None:
    children: list[Token] = []
    for child in token.children or ():
        if child.type != "image":
            children.append(child)
            continue
        opening = Token("link_open", "a", 1, attrs={"href": child.attrGet("src") or ""})
        label = Token("text", "", 0, content=f"picture: {child.content or child.attrGet('src')}")
        children += [opening, label, Token("link_close", "a", -1)]
    if token.children is not None:
        token.children = children
