"""A change of a workflow that runs under way cannot follow is noticed by its saved histories.

Each flow's source is changed here as people change it, and its histories are replayed on that.
"""

import ast
import sys
import types
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from temporalio.workflow import NondeterminismError

from tests.workflows.replaying import histories_of, replayed
from workers.registry import WORKFLOWS
from workflows.debug import DebugWorkflow
from workflows.tracked import TrackedWorkflow

Change = Callable[[ast.Module], int]
BOUNDED = {"_to_deadline", "_to_end_or_undone", "timeout"}  # what takes a deadline first


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


def without_deadlines(tree: ast.Module) -> int:
    """Let runs take as long as they like; how many places were changed."""
    calls = [
        node
        for node in ast.walk(tree)
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and node.func.attr in BOUNDED
        and not isinstance(node.args[0], ast.Constant)
    ]
    for call in calls:
        call.args[0], call.keywords = ast.Constant(None), []
    return len(calls)


def with_swapped_steps(tree: ast.Module) -> int:
    """Swap the first two statements of `_work`; how many places were changed."""
    works = [
        node
        for node in ast.walk(tree)
        if isinstance(node, ast.AsyncFunctionDef) and node.name == "_work"
    ]
    for work in works:
        work.body[:2] = reversed(work.body[:2])
    return len(works)


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


each_workflow = pytest.mark.parametrize("workflow", WORKFLOWS, ids=lambda one: one.__name__)

NOT_IN_ITS_MODULE: dict[Change, set[str]] = {  # but in those that several flows share
    with_renamed_steps: {"ReActWorkflow"},
    without_deadlines: {"PoolLaneWorkflow"},
}


@each_workflow
@pytest.mark.parametrize("change", [with_a_timer_more, with_renamed_steps, without_deadlines])
async def test_a_change_that_runs_under_way_cannot_follow_is_noticed(
    workflow: type, change: Change, changed_name: str
) -> None:
    histories = histories_of(workflow)

    after = changed(workflow, change, changed_name)
    if after is None:
        assert workflow.__name__ in NOT_IN_ITS_MODULE[change]
        return
    failures = await replayed(histories, after)

    noticed = {name for name, one in failures.items() if isinstance(one, NondeterminismError)}
    assert noticed
    assert change is not with_a_timer_more or noticed == set(histories)


@pytest.mark.parametrize(
    ("workflow", "change", "history"),
    [
        (DebugWorkflow, without_pauses, "debug.cancelled"),
        (TrackedWorkflow, with_swapped_steps, "tracked.completed"),
    ],
)
async def test_a_pause_left_out_and_steps_in_another_order_are_noticed(
    workflow: type, change: Change, history: str, changed_name: str
) -> None:
    after = changed(workflow, change, changed_name)

    assert after is not None
    failures = await replayed(histories_of(workflow), after)

    assert isinstance(failures[history], NondeterminismError)


@each_workflow
async def test_what_is_not_changed_replays_the_same_way(workflow: type, changed_name: str) -> None:
    same = changed(workflow, lambda _: 1, changed_name)

    assert same is not None
    assert await replayed(histories_of(workflow), same) == {}
