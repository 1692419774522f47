"""The text of HTML as a reader would see it, worked out in a process of its own.

A parser that follows the standard can be made to take minutes or all memory by a page of a few
kilobytes (elements nested without end, formatting that is opened and never closed), and it is
written in C. So a page is read by a child with bounds of its own: this very file, run as a
script. It imports nothing of the project and starts in about 40 ms.
"""

import json
import resource
import sys
from dataclasses import asdict, dataclass

from selectolax.lexbor import LexborHTMLParser

CPU_SECONDS = 5  # the slowest honest page of 2 MB takes about 1 s
MEMORY_BYTES = 512 * 1024 * 1024
WALL_SECONDS = 20  # on a machine that has more to do

_UNSEEN = ["script", "style", "noscript", "template", "svg", "iframe", "object", "head"]
_BLOCKS = (
    "p, div, br, hr, li, tr, table, section, article, header, footer, main, aside, nav, "
    "blockquote, dt, dd, figcaption, h1, h2, h3, h4, h5, h6, option"
)
_BREAK = "\x1e"  # stands for the end of a line while white space is folded


@dataclass(frozen=True)
class PageText:
    """A page's title, empty where it has none, and its text, one line a paragraph."""

    title: str
    text: str


async def read_html(html: str) -> PageText:
    """Read a page in a child process.

    Raises:
        UnreadableError: It takes more than `CPU_SECONDS` or `MEMORY_BYTES`.
        TimeoutError: It was not done in time, because the machine is busy.
    """
    from durable_agents.agent.bounded_child import read_in_child  # the script does without

    read = await read_in_child(
        __file__,
        html.encode("utf-8", "replace"),
        cpu_seconds=CPU_SECONDS,
        memory_bytes=MEMORY_BYTES,
        wall_seconds=WALL_SECONDS,
    )
    return PageText(**read)


def extract_text(html: str) -> PageText:
    """Read a page here and now, without any bound."""
    tree = LexborHTMLParser(html)
    title = tree.css_first("title")
    name = " ".join(title.text().split()) if title else ""
    tree.strip_tags(_UNSEEN)
    for pre in tree.css("pre"):
        pre.replace_with(pre.text().replace("\n", _BREAK))
    for block in tree.css(_BLOCKS):
        block.insert_before(_BREAK)
        block.insert_after(_BREAK)
    for cell in tree.css("td, th"):
        cell.insert_after(" ")
    text = tree.root.text() if tree.root else ""
    lines = (" ".join(line.split()) for line in text.split(_BREAK))
    return PageText(title=name, text="\n".join(line for line in lines if line))


def main(cpu_seconds: int, memory_bytes: int) -> None:
    """Read HTML from standard input, write a `PageText` as JSON to standard output."""
    resource.setrlimit(resource.RLIMIT_CPU, (cpu_seconds, cpu_seconds))
    resource.setrlimit(resource.RLIMIT_AS, (memory_bytes, memory_bytes))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    html = sys.stdin.buffer.read().decode("utf-8", "replace")
    sys.stdout.write(json.dumps(asdict(extract_text(html))))


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
