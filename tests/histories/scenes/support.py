"""Runs of `SupportWorkflow` to record."""

from durable_agents.models.support import SupportInput
from tests.histories.scene import HANG, Scene, cancel_in

CALM = '{"reason": "Settled.", "escalate": false, "priority": "low"}'


def judging(word: str) -> str:
    """What only the escalation judge's request contains, when an issue begins with the word."""
    return f'customer\\">\\n{word}'


SCENES = (
    Scene(
        "support.escalated",
        SupportInput(issue="My monitor A-1001 burns, this is urgent!", user_id="A-1001"),
    ),
    Scene(
        "support.ticket_by_agent",
        SupportInput(issue="Word f. Please file a ticket: the lamp flickers."),
        judging("Word f"),
        ({"kind": "nonsense", "text": CALM},),
    ),
    Scene("support.out_of_rounds", SupportInput(issue="What is the refund policy?", max_rounds=1)),
    Scene(
        "support.no_judgement",
        SupportInput(issue="Word g: thanks."),
        judging("Word g"),
        ({"kind": "nonsense", "times": -1},),
    ),
    Scene(
        "support.deadline",
        SupportInput(issue="Word h: thanks.", deadline_s=1),
        "Word h",
        (HANG,),
    ),
    Scene(
        "support.cancelled",
        SupportInput(issue="Word i: thanks."),
        judging("Word i"),
        (HANG,),
        cancel_in("decide"),
    ),
)
