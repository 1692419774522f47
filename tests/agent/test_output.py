"""Typed answers."""

from typing import Any

import pytest
from pydantic import BaseModel, ConfigDict

from durable_agents.agent.output import complaint_of, parse_output, response_format
from durable_agents.models.errors import ModelOutputError
from tests.fake_model import says


class Inner(BaseModel):
    model_config = ConfigDict(extra="forbid")

    name: str


class Answer(BaseModel):
    model_config = ConfigDict(extra="forbid")

    inner: Inner
    count: int


GOOD = '{"inner": {"name": "a"}, "count": 1}'


@pytest.mark.parametrize("text", [GOOD, f"  {GOOD}\n", f"```json\n{GOOD}\n```", f"```\n{GOOD}```"])
def test_an_answer_that_fits_is_read_also_from_a_fence(text: str) -> None:
    assert parse_output(Answer, says(text)) == Answer(inner=Inner(name="a"), count=1)


@pytest.mark.parametrize(
    ("text", "where"),
    [
        ("", "the answer: Invalid JSON"),
        ("Sure! " + GOOD, "the answer: Invalid JSON"),
        ('{"inner": {"name": "a"}}', "count: Field required"),
        ('{"inner": {"name": 7}, "count": 1}', "inner.name"),
        ('{"inner": {"name": "a"}, "count": 1, "more": 2}', "more: Extra inputs"),
        ("[]", "the answer"),
    ],
)
def test_an_answer_that_does_not_fit_says_where(text: str, where: str) -> None:
    with pytest.raises(ModelOutputError, match=where.replace(".", r"\.")):
        parse_output(Answer, says(text))

    assert where in complaint_of(Answer, says(text))
    assert "fits the schema and nothing else" in complaint_of(Answer, says(text))


def test_a_refusal_and_an_answer_that_was_cut_are_named() -> None:
    assert "refused: No." in complaint_of(Answer, says("", refusal="No."))
    assert "was cut" in complaint_of(Answer, says(GOOD, cut=True))


def test_nothing_is_complained_of_in_an_answer_that_fits() -> None:
    assert complaint_of(Answer, says(GOOD)) == ""


def test_the_schema_is_strict_all_the_way_down() -> None:
    form = response_format(Answer)["json_schema"]

    objects: list[dict[str, Any]] = [form["schema"], *form["schema"]["$defs"].values()]
    assert form["strict"] is True
    assert all(item["additionalProperties"] is False for item in objects)
    assert set(form["schema"]["required"]) == {"inner", "count"}
