"""Every flow that asks a model ends, whatever the model does."""

import inspect
from typing import Any, get_type_hints

import pytest
from pydantic import BaseModel

from durable_agents.models import bounds
from durable_agents.models.base import MAX_DEADLINE_S
from workers.registry import WORKFLOWS

ROUNDS = {  # the field that bounds the loop of a flow, with its default and its maximum
    "ReActWorkflow": ("max_rounds", bounds.ROUNDS, bounds.MOST_ROUNDS_OF_A_TASK),
    "SupportWorkflow": ("max_rounds", bounds.ROUNDS, bounds.MOST_ROUNDS),
    "RoutingWorkflow": ("max_rounds", bounds.ROUNDS, bounds.MOST_ROUNDS),
    "ResearchWorkflow": ("max_rounds", bounds.REFINEMENTS, bounds.MOST_REFINEMENTS),
    "ReviewWorkflow": ("max_revisions", bounds.REVISIONS, bounds.MOST_REVISIONS),
}
WITHOUT_LOOP = {
    "DocumentAnalysisWorkflow",  # each section of the document once for each branch
    "TaskWorkflow",
    "ResilientTaskWorkflow",
    "TrackedWorkflow",
    "WeatherAdviceWorkflow",
}
BUDGETED = {*ROUNDS, "DocumentAnalysisWorkflow"} - {"ReviewWorkflow"}
ASKING = [flow for flow in WORKFLOWS if "queue_of" in dir(inspect.getmodule(flow))]


def input_of(name: str) -> type[BaseModel]:
    flow: Any = next(flow for flow in WORKFLOWS if flow.__name__ == name)
    return get_type_hints(flow.run)["request"]


def test_every_flow_that_asks_a_model_is_listed_here() -> None:
    asking = {flow.__name__ for flow in ASKING} | {"ReActWorkflow", "ResearchWorkflow"}

    assert asking == {*ROUNDS, *WITHOUT_LOOP}


@pytest.mark.parametrize("name", sorted({*ROUNDS, *WITHOUT_LOOP}))
def test_it_has_a_deadline_by_default_and_none_of_more_than_a_year(name: str) -> None:
    field = input_of(name).model_fields["deadline_s"]

    assert 0 < field.default <= MAX_DEADLINE_S
    assert any(getattr(bound, "le", None) == MAX_DEADLINE_S for bound in field.metadata)


@pytest.mark.parametrize("name", ROUNDS)
def test_its_loop_has_a_bound_by_default_and_a_highest_one(name: str) -> None:
    bound, default, most = ROUNDS[name]
    field = input_of(name).model_fields[bound]

    assert field.default == default
    assert [found for meta in field.metadata if (found := getattr(meta, "le", None))] == [most]


@pytest.mark.parametrize("name", sorted(BUDGETED))
def test_where_calls_depend_on_what_a_model_says_a_budget_can_be_set(name: str) -> None:
    assert {"max_tokens", "max_cost_usd", "max_calls"} <= input_of(name).model_fields.keys()
