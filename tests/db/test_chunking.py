import re
import time

from hypothesis import given
from hypothesis import strategies as st

from durable_agents.db.chunking import CHUNK_CHARS, excerpt, split

MARKS = re.compile("[<>]")


def test_a_short_text_is_one_chunk_under_its_title() -> None:
    assert split("Shipping", "It takes a day.") == ["Shipping\n\nIt takes a day."]


def test_each_section_is_a_chunk_under_its_headings() -> None:
    text = "# Shipping\n\nFirst.\r\n\r\n## Times\nA day.\n\n### Abroad ###\n\nA week.\n\n## Empty\n"

    assert split("Shipping", text) == [
        "Shipping\n\nFirst.",
        "Shipping: Times\n\nA day.",
        "Shipping: Times: Abroad\n\nA week.",
    ]


def test_paragraphs_are_kept_together_as_long_as_they_fit() -> None:
    paragraphs = [letter * 400 for letter in "abc"]

    first, second = split("T", "\n\n".join(paragraphs))

    assert first == "T\n\n" + "\n\n".join(paragraphs[:2])
    assert second == "T\n\n" + paragraphs[2]


def test_a_paragraph_that_is_too_long_is_cut_at_its_sentences() -> None:
    sentence = "This is one of many sentences in a row."

    chunks = split("T", " ".join([sentence] * 60))

    assert len(chunks) == 3
    assert all(chunk.startswith("T\n\nThis") for chunk in chunks)
    assert all(chunk.endswith("row.") for chunk in chunks)


@given(st.text(alphabet="ab .#\n", max_size=400), st.integers(1, 40))
def test_no_chunk_is_too_long_and_no_word_is_lost(text: str, times: int) -> None:
    text = text.replace("#", "#1") * times  # `#1` is no heading

    bodies = [chunk.partition("\n\n")[2] for chunk in split("T", text)]

    assert all(len(body) <= CHUNK_CHARS for body in bodies)
    assert re.sub(r"\s", "", "".join(bodies)) == re.sub(r"\s", "", text)


def test_an_excerpt_of_a_short_text_is_the_text_without_its_marks() -> None:
    assert excerpt("A <refund> takes days.", MARKS, 100) == "A refund takes days."


def test_an_excerpt_is_where_most_marks_are() -> None:
    text = "Nothing here at all. One <word> here. <Two> <words> here. Nothing after that."

    assert excerpt(text, MARKS, 40) == "One word here. Two words here."


def test_an_excerpt_of_a_sentence_that_is_too_long_ends_at_a_word() -> None:
    assert excerpt("A <refund> takes several days", MARKS, 18) == "A refund takes…"


@given(st.text(alphabet="ab <>.\n", max_size=300), st.integers(5, 100))
def test_an_excerpt_keeps_to_its_room_and_has_no_marks(text: str, room: int) -> None:
    short = excerpt(text, MARKS, room)

    assert len(short) <= room
    assert not MARKS.search(short)


def test_comments_in_a_block_of_code_are_no_headings() -> None:
    text = "# Setup\n\n```sh\n# install\nmake\n```\n\n~~~\n# b\n```\n~~~\n\n## After\n\nDone."

    assert split("Setup", text) == [
        "Setup\n\n```sh\n# install\nmake\n```\n\n~~~\n# b\n```\n~~~",
        "Setup: After\n\nDone.",
    ]


def test_a_heading_keeps_the_hashes_of_its_own_name() -> None:
    assert split("T", "# C# ##\n\nSharp.") == ["T: C#\n\nSharp."]


def test_no_line_takes_longer_or_becomes_more_than_it_is_long() -> None:
    began = time.process_time()

    blank = split("T", "# a" + " " * 200_000 + "b")
    long = split("T", "# " + "h" * 100_000 + "\n" + "word " * 20_000)

    assert time.process_time() - began < 2
    assert sum(map(len, blank)) < 1000
    assert sum(map(len, long)) < 210_000
