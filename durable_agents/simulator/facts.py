"""Finds facts in a text by the name of what is sought: an address, a date, a number."""

import re
from collections.abc import Callable

from durable_agents.simulator.arithmetic import expressions_in
from durable_agents.simulator.sentences import key_words
from durable_agents.simulator.tool_arguments import account_ids_in, cities_in, urls_in


def fact_finder(name: str) -> Callable[[str], str | None] | None:
    """Give what finds a fact of this name in a text; None when the name is of no such fact."""
    return next((find for pattern, find in _FACTS if re.search(pattern, name)), None)


def number_beside(name: str, text: str) -> float | None:
    """Find a number next to the words of a field's name, as in "50 seats" or "seats: 50"."""
    number = r"(-?\d+(?:\.\d+)?)"
    for word in key_words(name.replace("_", " ")):
        near = re.search(
            rf"{number}\s+(?:\w+\s+)?{word}|{word}\w*\W{{1,3}}(?:is |of )?{number}", text, re.I
        )
        if near:
            return float(near.group(1) or near.group(2))
    return None


def _first(pattern: str) -> Callable[[str], str | None]:
    compiled = re.compile(pattern)

    def find(text: str) -> str | None:
        match = compiled.search(text)
        return match.group(0) if match else None

    return find


# What a field names and the text must hold: the first pattern that the name fits decides.
_FACTS: tuple[tuple[str, Callable[[str], str | None]], ...] = (
    (r"account", lambda text: next(iter(account_ids_in(text)), None)),
    (r"e?_?mail", _first(r"[\w.+-]+@[\w-]+\.[\w.]*\w")),
    (r"url|link|website|href", lambda text: next(iter(urls_in(text)), None)),
    (r"phone", _first(r"\+?\d[\d ()/-]{6,}\d")),
    (r"\bdate|_date|deadline|due", _first(r"\d{4}-\d{2}-\d{2}|\b\d{1,2}[./]\d{1,2}[./]\d{2,4}")),
    (r"city|location|place", lambda text: next(iter(cities_in(text)), None)),
    (r"expression|formula", lambda text: next(iter(expressions_in(f"{text} =")), None)),
    (r"error|failure|blocker", lambda _: None),
    (r"^id$|_id$|order_?n|reference", _first(r"\b[A-Za-z]{1,8}-\d+\b|#\d+\b")),
)
