"""How values become payloads, and what is said about JSON that does not fit."""

from typing import Any

import pytest
from temporalio.exceptions import ApplicationError

from durable_agents.models.react import ReActInput
from durable_agents.models.status import RunStatus, Usage
from durable_agents.runtime.converter import DATA_CONVERTER


async def round_trip(value: Any, kind: Any = None) -> tuple[bytes, Any]:
    (payload,) = await DATA_CONVERTER.encode([value])
    (read,) = await DATA_CONVERTER.decode([payload], [kind] if kind else None)
    return payload.data, read


async def test_what_equals_its_default_is_left_out_and_comes_back() -> None:
    status = RunStatus(step="think 1", usage=Usage(calls=1))

    data, read = await round_trip(status, RunStatus)

    assert data == b'{"step":"think 1","usage":{"calls":1}}'
    assert read == status


@pytest.mark.parametrize("value", ["text é", 7, None, b"\x00\xff", [1, {"a": None}], {}])
async def test_plain_values_come_back_as_they_were(value: object) -> None:
    assert (await round_trip(value))[1] == value


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ({}, "What was given does not fit ReActInput: task: Field required."),
        ("Paris", "What was given does not fit ReActInput: Input should be an object."),
        (
            {"task": 7, "max_rounds": 0},
            "What was given does not fit ReActInput: task: Input should be a valid string "
            "(and 1 more).",
        ),
    ],
)
async def test_json_that_does_not_fit_is_a_final_failure_in_one_sentence(
    value: object, said: str
) -> None:
    with pytest.raises(ApplicationError) as caught:
        await round_trip(value, ReActInput)

    assert caught.value.message == said
    assert caught.value.type == "ValidationError"
    assert caught.value.non_retryable


async def test_what_a_person_typed_is_not_repeated_in_the_failure() -> None:
    with pytest.raises(ApplicationError) as caught:
        await round_trip({"task": {"password": "geheim"}}, ReActInput)

    assert "geheim" not in str(caught.value)
