"""Runs of `ReActWorkflow` to record."""

from durable_agents.models.react import ReActInput
from tests.histories.scene import DOWN, HANG, Scene, cancel_in

SCENES = (
    Scene(
        "react.two_tools",
        ReActInput(task="What is 12.5 % of 2480, and what is the weather in Oslo?", user_id="u-1"),
    ),
    Scene("react.approval_refused", ReActInput(task="File a ticket: my monitor is broken.")),
    Scene(
        "react.unknown_tool",
        ReActInput(task="What is 6 * 7 (a)?"),
        "(a)",
        ({"kind": "unknown_tool"},),
    ),
    Scene(
        "react.tool_fails", ReActInput(task="What is the weather in Oslo?"), "name=Oslo", (DOWN,)
    ),
    Scene("react.out_of_rounds", ReActInput(task="Please simulate 5 rounds.", max_rounds=2)),
    Scene("react.out_of_budget", ReActInput(task="Please simulate 5 rounds.", max_calls=1)),
    Scene("react.unknown_agent", ReActInput(task="Anything.", agent="nobody")),
    Scene("react.deadline", ReActInput(task="Say b.", deadline_s=1), "Say b", (HANG,)),
    Scene("react.cancelled", ReActInput(task="Say c."), "Say c", (HANG,), cancel_in("think 1")),
    Scene(
        "react.cancelled_in_tool",
        ReActInput(task="What is the weather in Rome?"),
        "name=Rome",
        ({**HANG, "route": "weather"},),
        cancel_in("get_weather 1.1"),
    ),
    Scene(
        "react.continued_as_new",
        ReActInput(task="Please simulate 4 rounds.", max_rounds=9),
        last="react.resumed",
    ),
)
