"""The options of every starter whose runs wait for people's decisions."""

from typing import Annotated, Literal

import typer

from durable_agents.models.approval import NOT_BY_NOBODY, ApprovalOptions
from durable_agents.models.errors import InputError

DecisionDeadline = Annotated[
    float, typer.Option(help="Seconds to wait for each decision.", min=0.1)
]
Reviewer = Annotated[
    str, typer.Option("--reviewer", help="Who decides: a person or a role; any reviewer.")
]
EscalateTo = Annotated[
    str, typer.Option("--escalate-to", help="Who may decide as well when nobody has by half time.")
]
RemindAfter = Annotated[
    float, typer.Option("--remind-after", help="Seconds until they are reminded; 0: never.", min=0)
]
Undecided = Annotated[
    Literal["expire", "reject", "approve"],
    typer.Option("--undecided", help="What counts when nobody decides in time."),
]
FourEyes = Annotated[
    bool, typer.Option("--four-eyes", help="Whoever starts the run may not decide.")
]
VerifiedOnly = Annotated[
    bool, typer.Option("--verified-only", help="Only decisions count that we signed.")
]
Needed = Annotated[
    int, typer.Option("--needed", help="How many people have to approve.", min=1, max=20)
]


def approval_options(
    reviewer: str,
    escalate_to: str,
    remind_after: float,
    undecided: Literal["expire", "reject", "approve"],
    needed: int,
    four_eyes: bool,
    verified_only: bool,
) -> ApprovalOptions:
    """What was given, as a request has it.

    Raises:
        InputError: The options contradict each other.
    """
    options = ApprovalOptions(
        reviewer=reviewer.strip(),
        escalate_to=escalate_to.strip(),
        remind_after_s=remind_after,
        default_verdict="" if undecided == "expire" else undecided,
        four_eyes=four_eyes,
        verified_only=verified_only,
        needed=needed,
    )
    if options.approves_unseen:
        raise InputError(NOT_BY_NOBODY)
    return options
