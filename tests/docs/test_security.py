"""What the page about security names as shown is shown by a test that exists."""

import ast
import re
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent
PAGE = (ROOT / "docs" / "security.md").read_text(encoding="utf-8")
NAMED = sorted(set(re.findall(r"`(tests/[\w/]+\.py)::(test_\w+)`", PAGE)))
ITEMS = [f"{of}{number:02}" for of in ("LLM", "ASI") for number in range(1, 11)]


@cache
def functions_in(file: str) -> set[str]:
    tree = ast.parse((ROOT / file).read_text(encoding="utf-8"))
    functions = (n for n in tree.body if isinstance(n, ast.FunctionDef | ast.AsyncFunctionDef))
    return {function.name for function in functions}


@pytest.mark.parametrize(("file", "name"), NAMED)
def test_a_test_that_is_named_exists(file: str, name: str) -> None:
    assert name in functions_in(file)


@pytest.mark.parametrize("item", ITEMS)
def test_each_item_has_a_row_with_a_test(item: str) -> None:
    (row,) = re.findall(rf"^\| {item} .*$", PAGE, re.M)

    assert re.search(r"`tests/[\w/]+\.py::test_\w+`", row)


def test_every_test_about_security_is_named_on_the_page() -> None:
    named = {file for file, _ in NAMED}

    files = {f"tests/security/{f.name}" for f in (ROOT / "tests" / "security").glob("test_*.py")}
    assert files <= named
