"""What changed between two revisions."""

import time

from inbox.differences import MOST_LINES, Line, differences


def told(before: str, after: str) -> list[str]:
    """The comparison as marks: ` same`, `+added`, `-removed`, with changed words in [brackets]."""
    lines = differences(before, after)
    assert lines is not None
    return [mark(line) for line in lines]


def mark(line: Line) -> str:
    if line.kind == "gap":
        return f"... {line.skipped}"
    sign = {"same": " ", "added": "+", "removed": "-"}[line.kind]
    words = (f"[{piece.text}]" if piece.changed else piece.text for piece in line.pieces)
    return sign + "".join(words)


def test_a_changed_word_is_marked_in_its_line() -> None:
    assert told("We ship it soon.", "We ship it today.") == [
        "-We ship it [soon].",
        "+We ship it [today].",
    ]


def test_lines_far_from_a_change_are_left_out() -> None:
    before = "\n".join("abcdefghij")

    assert told(before, before.replace("e", "E")) == [
        "... 2",
        " c",
        " d",
        "-e",
        "+E",
        " f",
        " g",
        "... 3",
    ]


def test_a_line_that_only_came_is_not_marked_word_by_word() -> None:
    assert told("one two three", "one two four\n\nand more of it") == [
        "-one two [three]",
        "+one two [four]",
        "+",
        "+and more of it",
    ]


def test_the_same_text_has_no_changes() -> None:
    assert told("a\nb\nc\nd", "a\nb\nc\nd") == ["... 4"]


def test_texts_that_are_too_long_are_not_compared() -> None:
    assert differences("x\n" * (MOST_LINES + 1), "x") is None


def test_a_text_made_to_take_long_does_not() -> None:
    lines = MOST_LINES - 1
    began = time.perf_counter()

    differences("\n" * lines, "\nx\n" * (lines // 2))
    differences("a b " * 1400, "b a " * 1400)
    differences(
        "\n".join(f"same words {n}" for n in range(lines)),
        "\n".join(f"same words {n * 7}" for n in range(lines)),
    )

    differences(
        "\n".join(f"L{n}\n" + "a b " * 40 for n in range(lines // 2)),
        "\n".join(f"L{n}\n" + "b a " * 40 + "c" for n in range(lines // 2)),
    )

    assert time.perf_counter() - began < 10


def test_characters_that_hide_are_shown() -> None:
    assert "⟨U+202E⟩" in "".join(told("safe text", "safe text\u202e"))
