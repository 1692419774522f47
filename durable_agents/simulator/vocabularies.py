"""Loads the simulator's own word lists."""

import json
from functools import lru_cache
from importlib.resources import files
from typing import cast

from durable_agents import simulator


def vocabulary(name: str) -> frozenset[str]:
    """Give the words of a list; a list that is not there has none."""
    return frozenset(_lists().get(name, "").split())


@lru_cache(maxsize=1)
def _lists() -> dict[str, str]:
    text = (files(simulator) / "vocabulary.json").read_text(encoding="utf-8")
    return cast(dict[str, str], json.loads(text))
