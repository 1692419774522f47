"""Sections of a long text."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from durable_agents.agent.findings import label_of, mean_score, ranked_topics
from durable_agents.agent.sections import (
    SECTION_CHARS,
    SLACK_CHARS,
    count_sections,
    cut,
    is_text,
    window_of,
)

PIECES = ["word ", "A sentence. ", "\n\n", "ünïcödé ", "x" * 900, "é" * 300]


def cut_by_windows(text: str, batch: int) -> list[str]:
    of = count_sections(len(text))
    found: list[str] = []
    for first in range(0, of, batch):
        count = min(batch, of - first)
        start, chars = window_of(first, count, of)
        found += cut(text[start : start + chars], first, count, of)
    return found


@given(
    st.lists(st.sampled_from(PIECES), min_size=1, max_size=40),
    st.integers(1, 60),
    st.integers(1, 7),
)
def test_the_sections_are_the_text_however_it_is_read(
    pieces: list[str], times: int, batch: int
) -> None:
    text = "".join(pieces) * times

    sections = cut_by_windows(text, batch)

    assert "".join(sections) == text
    assert sections == cut_by_windows(text, 1)
    assert all(sections)
    assert max(map(len, sections)) <= 2 * SECTION_CHARS + SLACK_CHARS


def test_a_cut_falls_behind_a_sentence() -> None:
    sections = cut_by_windows("This is a sentence of some length. " * 1000, 2)

    assert len(sections) == 4
    assert all(section.endswith("length. ") for section in sections)


@pytest.mark.parametrize(
    ("sample", "expected"),
    [
        ("Plain text, with ünïcödé.\n\tAnd a tab.", True),
        ("价格表", True),
        ("", False),
        ("--- !!! ---", False),
        ("%PDF-1.4 \x01\x02\ufffd\ufffd\x93 obj", False),
    ],
)
def test_what_is_text(sample: str, expected: bool) -> None:
    assert is_text(sample) is expected


def test_a_mean_weighs_long_sections_more() -> None:
    assert mean_score([(1.0, 300), (-1.0, 100)]) == 0.5
    assert mean_score([]) == 0
    assert [label_of(score) for score in (0.05, 0.04, -0.05)] == ["positive", "neutral", "negative"]


def test_topics_are_ranked_by_how_often_and_how_early_they_stand() -> None:
    lists = [["Refunds", "shipping"], ["refunds ", "price"], ["price"], [" ", "shipping"]]

    assert ranked_topics(lists) == ("Refunds", "price", "shipping")
