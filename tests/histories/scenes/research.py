"""Runs of `ResearchWorkflow` to record."""

from durable_agents.models.research import ResearchInput
from tests.histories.scene import HANG, Scene, cancel_in

SCENES = (
    Scene("research.refined", ResearchInput(query="What does the warranty cover?")),
    Scene(
        "research.plan_fails",
        ResearchInput(query="What is the refund policy (n)?", max_rounds=0),
        "sub-questions.\\n\\nQuestion: What is the refund policy (n)",
        ({"kind": "nonsense", "times": 3},),
    ),
    Scene(
        "research.out_of_budget",
        ResearchInput(query="What is the refund policy (o)?", max_calls=1),
    ),
    Scene(
        "research.findings_kept",
        ResearchInput(query="What is the refund policy (r)?", max_tokens=4000),
        "Which evidence is there on: the refund policy (r)",
        ({"kind": "nonsense", "text": "A refund takes 14 days. " * 500},),
    ),
    Scene(
        "research.writer_fails",
        ResearchInput(query="What is the refund policy (s)?"),
        "answers the question.\\n\\nQuestion: What is the refund policy (s)",
        ({"status": 401, "error_code": "invalid_api_key", "times": -1},),
    ),
    Scene("research.deadline", ResearchInput(query="Word p?", deadline_s=1), "Word p", (HANG,)),
    Scene(
        "research.cancelled",
        ResearchInput(query="Word q?"),
        "Word q",
        (HANG,),
        cancel_in("plan"),
    ),
)
