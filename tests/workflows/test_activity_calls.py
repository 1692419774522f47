"""Every call of an activity states what it needs, and asks a queue where it is registered."""

import ast

from durable_agents.runtime.settings import Settings
from tests.workflows.replaying import FILES, ROOT, events_in, scheduled_in
from workers.registry import spec_of
from workers.resources import Resources
from workers.roles import ROLES

OPTIONS = {"start_to_close_timeout", "retry_policy", "summary"}


def activity_calls() -> list[tuple[str, ast.Call]]:
    """Each place in workflows/ where an activity is called."""
    return [
        (f"{file.name}:{node.lineno}", node)
        for file in sorted((ROOT / "workflows").glob("*.py"))
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and node.func.attr.startswith(("execute_", "start_"))
        and "activity" in node.func.attr
    ]


def test_every_activity_call_states_its_timeout_its_retry_policy_and_a_summary() -> None:
    calls = activity_calls()

    missing = {
        place: OPTIONS - {keyword.arg or "" for keyword in call.keywords} for place, call in calls
    }

    assert len(calls) >= 10
    assert {place: names for place, names in missing.items() if names} == {}


def test_every_call_on_the_queue_of_models_says_how_long_it_may_take_in_all() -> None:
    on_that_queue = [
        (place, {keyword.arg: ast.unparse(keyword.value) for keyword in call.keywords})
        for place, call in activity_calls()
        if any(ast.unparse(keyword.value).startswith("queue_of(") for keyword in call.keywords)
    ]

    unbounded = [
        place for place, options in on_that_queue if "schedule_to_close_timeout" not in options
    ]

    assert len(on_that_queue) >= 10
    assert unbounded == []


def registered() -> dict[str, set[str]]:
    """The names of the activities that are registered, by task queue."""
    values = {"database_url": "postgresql://nobody@127.0.0.1:1/none", "openai_base_url": "http://x"}
    resources = Resources.open(Settings.model_validate(values))
    found: dict[str, set[str]] = {}
    for role in ROLES:
        spec = spec_of(role, resources)
        names = {
            vars(getattr(f, "__func__", f))["__temporal_activity_definition"].name
            for f in spec.activities
        }
        found.setdefault(spec.queue, set()).update(names)
    return found


def test_every_activity_is_registered_by_a_role() -> None:
    defined = {
        str(keyword.value.value)
        for file in (ROOT / "activities").glob("*.py")
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "activity.defn"
        for keyword in node.keywords
        if keyword.arg == "name" and isinstance(keyword.value, ast.Constant)
    }

    assert len(defined) >= 11
    assert defined - set().union(*registered().values()) == set()


def test_every_activity_is_asked_for_on_a_queue_where_it_is_registered() -> None:
    by_queue = registered()

    astray = {
        (asked.activity_type.name, asked.task_queue.name)
        for file in FILES
        for asked in scheduled_in(events_in(file))
        if asked.activity_type.name not in by_queue[asked.task_queue.name]
    }

    assert astray == set()
