"""Lines of JSON: what is usable, and what is said of the rest."""

from pathlib import Path

import pytest

from durable_agents.models.debug import DebugInput
from durable_agents.models.errors import InputError
from durable_agents.models.jobs import MAX_PAYLOAD_BYTES
from starters.job_lines import PIECE, Line, LineFile

GOOD = b'{"values": [1, 2]}'


def lines_of(folder: Path, content: bytes) -> list[Line]:
    file = folder / "lines.jsonl"
    file.write_bytes(content)
    return list(LineFile(file, DebugInput).lines())


@pytest.mark.parametrize(
    ("raw", "said"),
    [
        (b"{values: 1}", "The line is not JSON: "),
        (b'{"values": [NaN]}', "The input is not usable: values.0: "),
        (b"[1, 2]", "The line is not a JSON object."),
        (b'"text"', "The line is not a JSON object."),
        (b'{"values": "none"}', "The input is not usable: values: "),
        (b'{"values": [1], "valeus": 2}', "The flow takes no 'valeus'; it takes values"),
        (b"\xff\xfe{}", "The line is not text in UTF-8."),
        (b'{"values": [1], "user_id": "a\\u0000"}', "The payload of job 1 of 1 contains a NUL"),
        (b"[" * 200_000, "The line is not JSON: "),
        (b'{"user_id": "' + b"x" * MAX_PAYLOAD_BYTES + b'"}', "The line has over 262,144 bytes"),
        (b"x" * (3 * PIECE + 5), "The line has over 262,144 bytes"),
    ],
    ids=lambda value: str(value)[:30],
)
def test_a_line_that_is_not_usable_says_why_and_the_others_are(
    tmp_path: Path, raw: bytes, said: str
) -> None:
    first, bad, last = lines_of(tmp_path, GOOD + b"\n" + raw + b"\n" + GOOD)

    assert (first.number, first.asked, first.why_not) == (1, {"values": [1, 2]}, "")
    assert (bad.number, bad.asked) == (2, None)
    assert bad.why_not.startswith(said)
    assert (last.number, last.asked) == (3, {"values": [1, 2]})


def test_blank_lines_are_passed_over_and_counted(tmp_path: Path) -> None:
    found = lines_of(tmp_path, b"\xef\xbb\xbf" + GOOD + b"\r\n\n  \n" + GOOD + b"\n")

    assert [(line.number, line.why_not) for line in found] == [(1, ""), (4, "")]


def test_what_is_no_file_is_refused(tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / "none.jsonl"):
        with pytest.raises(InputError, match="is no file"):
            LineFile(path, DebugInput).digest()
