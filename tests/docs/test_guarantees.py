"""What docs/guarantees.md names is there."""

import ast
import re
from pathlib import Path

ROOT = Path(__file__).parent.parent.parent
NAMED = re.compile(r"`(tests/[\w/]+\.py)(?:::(\w+))?`")


def test_every_test_that_shows_a_promise_exists() -> None:
    guide = (ROOT / "docs" / "guarantees.md").read_text(encoding="utf-8")

    named = NAMED.findall(guide)

    assert len(named) > 25
    assert [f"{file}::{name}" for file, name in named if name not in names_in(file)] == []


def names_in(file: str) -> set[str]:
    """The tests of a module; none where there is no such module."""
    path = ROOT / file
    if not path.exists():
        return set()
    body = ast.parse(path.read_text(encoding="utf-8")).body
    return {node.name for node in body if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)}
