"""What the README and the documentation name is there."""

import re
from pathlib import Path

import pytest

from starters.main import COMMANDS

ROOT = Path(__file__).parent.parent.parent
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
GUIDE = re.compile(r"In a new file `([^`]+)`:")

_FENCED = re.compile(r"^```.*?^```$", re.M | re.S)
_CODE = re.compile(r"`([^`\n]+)`")
_PATH = re.compile(r"[\w.-]+(?:/[\w.-]+)*/?")  # no space, star, colon, capital placeholder
_NAMED_FILE = re.compile(r"[\w.-]+\.(?:py|md|toml|yml|lock|example)|Dockerfile|Makefile")
_LINK = re.compile(r"\]\((?!https?:)([^)#\s]+)")
_COMMAND = re.compile(r"durable-agents ([a-z][a-z-]*)")


def paths_in(page: str) -> set[str]:
    """The paths that a page names in backticks.

    A path has a slash in the middle or at the end, or is a file's name with an ending that the
    project uses. What has a space, a star, a colon or braces is a command, a glob, an address or
    a placeholder; what begins with a slash is a path of a URL; `var/` is made by running.
    """
    spans = {code for code in _CODE.findall(_FENCED.sub("", page)) if _PATH.fullmatch(code)}
    named = {code for code in spans if "/" in code or _NAMED_FILE.fullmatch(code)}
    return {path for path in named if path.split("/")[0] != "var"}


def commands_in(page: str) -> set[str]:
    """The commands of `durable-agents` that a page names, in backticks or in a block."""
    code = [*_FENCED.findall(page), *_CODE.findall(_FENCED.sub("", page))]
    return {name for part in code for name in _COMMAND.findall(part)}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_path_that_a_page_names_is_there(page: Path) -> None:
    text = page.read_text(encoding="utf-8")

    missing = {path for path in paths_in(text) if not (ROOT / path).exists()}

    assert missing - set(GUIDE.findall(text)) == set()


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_command_that_a_page_names_is_there(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    new = {Path(path).stem.replace("_", "-") for path in GUIDE.findall(text) if "starters/" in path}

    assert commands_in(text) - new - set(COMMANDS) == set()


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_link_of_a_page_leads_to_a_file(page: Path) -> None:
    links = _LINK.findall(_FENCED.sub("", page.read_text(encoding="utf-8")))

    assert [link for link in links if not (page.parent / link).exists()] == []


def test_the_readme_names_paths_and_commands() -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8")

    assert len(paths_in(text)) >= 5
    assert len(commands_in(text)) >= 10


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("see `workflows/flow.py` and `docs/`", {"workflows/flow.py", "docs/"}),
        ("see `README.md`", {"README.md"}),
        ("`var/run.json`, `tests/*.py`, `make demo`, `/healthz`, `<ID>/x`, `a.b`", set[str]()),
        ("```\nin/a/block\n```", set[str]()),
    ],
)
def test_what_counts_as_a_path(text: str, found: set[str]) -> None:
    assert paths_in(text) == found
