"""Runs of `ReActWorkflow` to record."""

import json

from durable_agents.models.approval import ApprovalOptions
from durable_agents.models.react import ReActInput
from tests.histories.deciding import deciding
from tests.histories.scene import DOWN, HANG, Scene, cancel_in

FILING = ReActInput(task="File a ticket: my monitor is broken.", asked_by="bo")
FILED = "file_ticket-1.1"
EDIT = json.dumps({"subject": "Monitor", "description": "It is broken.", "priority": "low"})

SCENES = (
    Scene(
        "react.two_tools",
        ReActInput(task="What is 12.5 % of 2480, and what is the weather in Oslo?", user_id="u-1"),
    ),
    Scene("react.approved", FILING, meddle=deciding(FILED, {"verdict": "approve"})),
    Scene(
        "react.rejected",
        FILING,
        meddle=deciding(FILED, {"verdict": "reject", "feedback": "Call them instead."}),
    ),
    Scene("react.edited", FILING, meddle=deciding(FILED, {"verdict": "edit", "edit": EDIT})),
    Scene(
        "react.reminded",
        FILING.model_copy(
            update={
                "decision_deadline_s": 1.5,
                "approval": ApprovalOptions(
                    reviewer="desk", escalate_to="chiefs", remind_after_s=0.2, escalate_after_s=0.5
                ),
            }
        ),
    ),
    Scene("react.approval_expired", FILING.model_copy(update={"decision_deadline_s": 0.3})),
    Scene("react.approval_withdrawn", FILING, meddle=cancel_in(f"wait for approval {FILED}")),
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
