"""A change of a workflow that runs under way cannot follow is noticed by its saved histories.

Each flow's source is changed here as people change it, and its histories are replayed on that.
"""

import ast
import copy
import sys
import types
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from temporalio.workflow import NondeterminismError

from tests.workflows.test_determinism import FILES, events_in, replayed, type_of
from workers.registry import WORKFLOWS
from workflows.debug import DebugWorkflow

Change = Callable[[ast.Module], int]


def with_a_timer_more(tree: ast.Module) -> int:
    """Begin the run with a pause; how many places were changed."""
    runs = [
        node
        for node in ast.walk(tree)
        if isinstance(node, ast.AsyncFunctionDef)
        and any(ast.unparse(one) == "workflow.run" for one in node.decorator_list)
    ]
    for run in runs:
        run.body[:0] = ast.parse("await workflow.sleep(1)").body
    return len(runs)


def with_renamed_steps(tree: ast.Module) -> int:
    """Give every activity another id; how many places were changed."""
    calls = [
        keyword
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and ast.unparse(node.func).startswith("workflow.execute_")
        for keyword in node.keywords
        if keyword.arg in {"activity_id", "id"}
    ]
    for keyword in calls:
        keyword.value = ast.BinOp(keyword.value, ast.Add(), ast.Constant("-renamed"))
    return len(calls)


def without_pauses(tree: ast.Module) -> int:
    """Leave the pauses out; how many places were changed."""
    pauses = [
        (block, place)
        for block in ast.walk(tree)
        if isinstance(block, ast.With | ast.If | ast.AsyncFunctionDef)
        for place, statement in enumerate(block.body)
        if ast.unparse(statement).startswith("await workflow.sleep(")
    ]
    for block, place in pauses:
        block.body[place] = ast.Pass()
    return len(pauses)


def changed(workflow: type, change: Change, name: str) -> type | None:
    """The workflow as its changed source makes it; None when there was nothing to change."""
    module = sys.modules[workflow.__module__]
    tree = ast.parse(Path(str(module.__file__)).read_text(encoding="utf-8"))
    if not change(tree):
        return None
    made = types.ModuleType(name)
    sys.modules[name] = made  # the SDK looks types up there
    exec(compile(ast.fix_missing_locations(tree), str(module.__file__), "exec"), vars(made))  # noqa: S102 - our own source
    return vars(made)[workflow.__name__]


@pytest.fixture
def changed_name() -> Iterator[str]:
    name = "changed_workflow"
    yield name
    sys.modules.pop(name, None)


@pytest.mark.parametrize("workflow", WORKFLOWS, ids=lambda workflow: workflow.__name__)
@pytest.mark.parametrize("change", [with_a_timer_more, with_renamed_steps])
async def test_a_change_that_runs_under_way_cannot_follow_is_noticed(
    workflow: type, change: Change, changed_name: str
) -> None:
    histories = [e for e in map(events_in, FILES) if type_of(e) == workflow.__name__]

    after = changed(workflow, change, changed_name)
    if after is None:  # its steps are in modules that several flows share
        assert workflow.__name__ in {"ReActWorkflow"}
        return
    failures = await replayed(*copy.deepcopy(histories), workflow=after)

    noticed = [failure for failure in failures if isinstance(failure, NondeterminismError)]
    assert noticed
    assert change is not with_a_timer_more or len(noticed) == len(histories)


async def test_a_pause_that_is_left_out_is_noticed(changed_name: str) -> None:
    parked = events_in(next(file for file in FILES if file.stem == "debug.cancelled"))

    failures = await replayed(parked, workflow=changed(DebugWorkflow, without_pauses, changed_name))

    assert isinstance(failures[0], NondeterminismError)


@pytest.mark.parametrize("workflow", WORKFLOWS, ids=lambda workflow: workflow.__name__)
async def test_what_is_not_changed_replays_the_same_way(workflow: type, changed_name: str) -> None:
    histories = [e for e in map(events_in, FILES) if type_of(e) == workflow.__name__]

    same = changed(workflow, lambda _: 1, changed_name)
    failures = await replayed(*histories, workflow=same)

    assert failures == [None] * len(histories)
