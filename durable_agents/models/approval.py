"""What passes between a run that waits for a person's decision and those who decide."""

from datetime import datetime
from typing import Literal

from durable_agents.models.base import Record

MAX_FEEDBACK_CHARS = 10_000
MAX_NAME_CHARS = 200
DIGEST_DIGITS = 16

Verdict = Literal["approve", "reject"]


class Decision(Record):
    """A person's decision, as the signal `decide` and the update `submit_decision` take it.

    `digest` is that of the exact text that was read (the run's status names it), `by` who
    decides. A rejection needs `feedback`.
    """

    verdict: Verdict
    digest: str = ""
    by: str = ""
    feedback: str = ""


class PendingApproval(Record):
    """What a run waits for: a decision on one revision of something.

    `digest` is the beginning of the SHA-256 of revision and text, in hexadecimal; `review_id`
    names the row where the text is; `closes_at` (seconds since 1970) is the end of the wait.
    """

    subject: str
    digest: str
    revision: int = 1
    review_id: int = 0
    closes_at: float = 0

    def sentence(self) -> str:
        """Say for what a run waits."""
        return f"a decision on {self.subject}, revision {self.revision} (digest {self.digest})"


class TakenDecision(Record):
    """A decision that counts, for which revision, and when the run took it."""

    revision: int
    verdict: Verdict
    digest: str
    by: str
    at: datetime
    feedback: str = ""

    def sentence(self) -> str:
        """Say who decided what."""
        verdict = "approved" if self.verdict == "approve" else "rejected"
        return f"revision {self.revision} was {verdict} by {self.by or 'somebody'}"


class ApprovalState(Record):
    """What the query `approval` answers: what is waited for, and the latest decision."""

    pending: PendingApproval | None = None
    latest: TakenDecision | None = None
