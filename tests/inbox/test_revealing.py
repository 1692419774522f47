"""What a text hides is written out, and what languages and emoji need stays."""

import pytest

from inbox.revealing import reveal


@pytest.mark.parametrize(
    "hidden",
    [
        "\u202e",  # turns the direction
        "\u200b",
        "\u2065",  # assigned to nothing, and shown as nothing
        "\u2800",
        "\u3164",
        "\ufe01",
        "\U000e0041",  # tags and the selectors after them carry words that only machines read
        "\U000e0100",
        "\U000e0800",
        "\u200d",  # joins nothing in a word of ASCII
        "\ufe0f",
        "\r",
        "\x1b",
    ],
)
def test_a_character_that_nobody_sees_is_written_out(hidden: str) -> None:
    assert reveal(f"safe{hidden}text") == f"safe⟨U+{ord(hidden):04X}⟩text"


def test_words_of_joiners_are_written_out() -> None:
    told = reveal("क" + "\u200d\u200c\u200c\u200d" + "क")

    assert told == "क\u200d⟨U+200C⟩⟨U+200C⟩⟨U+200D⟩क"


@pytest.mark.parametrize(
    "text",
    [
        "Plain, with\ttabs\nand lines.",
        "naïve café 東京 العربية",
        "نمی\u200cد\u0627نم",  # Persian writes words with it
        "क्\u200dष",
        "👩\u200d🚒 ❤\ufe0f\u200d🔥 1\ufe0f\u20e3 🏳\ufe0f\u200d🌈",
        "a\u00a0b\u2003c",
    ],
)
def test_what_people_write_stays_as_it_is(text: str) -> None:
    assert reveal(text) == text
