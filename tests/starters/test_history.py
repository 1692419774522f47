"""What is told of a file that is no history."""

import pytest

from durable_agents.models.errors import InputError
from starters.history import parsed

STARTED = '{"eventType": "EVENT_TYPE_WORKFLOW_EXECUTION_STARTED"}'


@pytest.mark.parametrize(
    "text",
    [
        "",
        "nonsense",
        "null",
        "[]",
        "[" * 100_000,
        '{"events": []}',
        '{"events": {}}',
        '{"events": [1]}',
        '{"events": [{"eventId": "first"}]}',
        f'{{"events": [{STARTED}]}}',
    ],
)
def test_a_file_that_is_no_history_is_refused_in_a_sentence(text: str) -> None:
    with pytest.raises(InputError, match="is not a"):
        parsed(text, "run")
