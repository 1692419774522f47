"""What a run of each flow leaves when nothing disturbs it, by the names of `tests.drills.tally`."""

from collections.abc import Mapping

from tests.drills.tally import RECEIVED, SENT

WELL = {"run completed": 1}
DRAFTED = WELL | {"draft": 1, "task saved": 1}
TOLD = {SENT: 1, RECEIVED: 1}

LEAVINGS: Mapping[str, Mapping[str, int]] = {
    "debug": WELL,
    "external_call": WELL,
    "weather_advice": WELL,
    "order": WELL | {"effect": 3, "charge": 1, "order fulfilled": 1, "in stock": 7},
    "order, undone": {
        "run failed": 1,
        "charge": 1,
        "refund": 1,
        "order cancelled": 1,
        "in stock": 10,
    },
    "process_task": DRAFTED | TOLD,
    "tracked": DRAFTED | {"status row": 1},
    "resilient_task": DRAFTED,
    "review": DRAFTED | TOLD | {"approval": 1, "decision that counts": 1},
    "react": WELL | {"thread": 1, "message": 5, "ticket": 1, "effect": 1},
    "support": WELL | {"thread": 1, "message": 2, "ticket": 1},
    "route": WELL | {"thread": 1, "message": 4, "interaction": 1},
    "analyze_document": WELL | {"analysis": 1},
    "process_documents": WELL | {"analysis": 2, "job done": 2},
    "research": WELL | {"thread": 3, "message": 12, "draft": 6, "report": 1},
    "work_pool": WELL | {"job done": 2, "effect of a job": 2},
    # The branches.
    "order, refund given up": {
        "run failed": 1,
        "charge": 1,
        "refund given up": 1,
        "order cancelled": 1,
        "in stock": 10,
        "error": 1,
    },
    "order, cancelled": {
        "run cancelled": 1,
        "charge": 1,
        "refund": 1,
        "order cancelled": 1,
        "in stock": 10,
    },
    "resilient_task, fallback": DRAFTED | {"error": 1},
    "tracked, failed": {"run failed": 1, "status row of a failure": 1},
    "analyze_document, partial": WELL | {"analysis": 1, "analysis without a branch": 1},
    "review, rejected": WELL
    | {"draft": 2, "task saved": 1, "rejection": 1, "approval": 1, "decision that counts": 2}
    | {SENT: 2, RECEIVED: 2},
    "react, approved": WELL
    | {"thread": 1, "message": 4, "ticket": 1, "effect": 1}
    | {"approval": 1, "decision that counts": 1}
    | TOLD,
    "react, refused": WELL
    | {"thread": 1, "message": 4, "rejection": 1, "decision that counts": 1}
    | TOLD,
    "react, out of rounds": WELL
    | {"thread": 1, "message": 4, "ticket": 1, "effect": 1, "error": 1},
    "react, weather": WELL | {"thread": 1, "message": 4, "answer with a forecast": 1},
}
