"""What passes between a run that waits for a person's decision and those who decide."""

from datetime import datetime
from typing import Literal

from pydantic import Field

from durable_agents.models.base import Record

DAY_S = 24 * 3600
MAX_FEEDBACK_CHARS = 10_000
MAX_NAME_CHARS = 200
MAX_EDIT_CHARS = 10_000
"""An edit that is longer is stored first, and the decision names it: history holds references."""
MAX_STORED_EDIT_CHARS = 1_000_000
DIGEST_DIGITS = 16
MAX_SIGNATURE_CHARS = 200
BY_DEFAULT = "default"
"""By what way the decision came where nobody made it."""
NOT_BY_NOBODY = (
    "What needs four eyes, a signed decision or several people cannot count as approved when "
    "nobody decides: let it expire or be rejected then."
)

Verdict = Literal["approve", "reject", "edit"]
Kind = Literal["review", "tool"]
RequestStatus = Literal["pending", "approved", "rejected", "expired", "withdrawn"]

_SAID = {"approve": "approved", "reject": "rejected", "edit": "edited and approved"}


class ApprovalOptions(Record):
    """How a decision is to be made.

    `reviewer` is a person's name or a role; empty means anybody with the role `reviewer`.
    `escalate_to` may decide as well from `escalate_after_s` (seconds) on, which is half of the
    wait when left out; `remind_after_s` reminds, 0 does not. `default_verdict` is what counts
    when nobody decides in time; empty lets the request expire. `needed` is how many people have to
    approve the same content; one who rejects suffices.

    `four_eyes` keeps whoever asked from deciding; it holds against people who decide under another
    name only together with `verified_only`, which takes no decision without our signature. Whoever
    can start runs says who asks: where that is not trusted, start them with a token. Neither of
    the two, nor several approvals, goes with approving when nobody decides.
    """

    reviewer: str = Field(default="", max_length=MAX_NAME_CHARS)
    escalate_to: str = Field(default="", max_length=MAX_NAME_CHARS)
    remind_after_s: float = Field(default=0, ge=0, allow_inf_nan=False)
    escalate_after_s: float = Field(default=0, ge=0, allow_inf_nan=False)
    default_verdict: Literal["", "reject", "approve"] = ""
    four_eyes: bool = False
    verified_only: bool = False
    needed: int = Field(default=1, ge=1, le=20)

    @property
    def approves_unseen(self) -> bool:
        """Whether nobody could approve what more than anybody has to."""
        strict = self.four_eyes or self.verified_only or self.needed > 1
        return strict and self.default_verdict == "approve"


class RequestApprovalInput(Record):
    """Ask for a decision: on a draft (`draft_id`), or on the tool call `index` of a message.

    `step` names the wait within its run. `asked_by` is who started the run, `for_whom` the user it
    works for. `previous_id` is the request on the revision before.
    """

    step: str
    kind: Kind
    subject: str = ""
    asked_by: str = ""
    for_whom: str = ""
    consequences: str = ""
    revision: int = 1
    previous_id: int = 0
    draft_id: int = 0
    message: int = 0
    index: int = 0
    options: ApprovalOptions = ApprovalOptions()
    remind_at: datetime | None = None
    escalate_at: datetime | None = None
    closes_at: datetime | None = None


class RequestedApproval(Record):
    """The row that asks, the digest that decisions are bound to, and its page, if there is one."""

    request_id: int
    digest: str
    title: str = ""
    link: str = ""


class Decision(Record):
    """A person's decision, as the signal `decide` and the update `submit_decision` take it.

    `digest` is that of the exact content that was read (the run's status names it), `by` who
    decides. A rejection needs `feedback`. An edit carries the new text, or the new arguments as
    JSON, in `edit`; a long one is stored and named by `edit_id`. `signature` makes it verified;
    `via` says where it was made.
    """

    verdict: Verdict
    digest: str = ""
    by: str = ""
    feedback: str = ""
    edit: str = ""
    edit_id: int = 0
    signature: str = ""
    via: str = ""


class PendingApproval(Record):
    """What a run waits for: a decision on one content.

    `request_id` names the row where it is; `closes_at` (seconds since 1970) is the end of the
    wait; `approved_by` are those who have approved where `needed` is more than one.
    """

    subject: str
    digest: str
    kind: Kind = "review"
    revision: int = 1
    request_id: int = 0
    closes_at: float = 0
    reviewer: str = ""
    asked_by: str = ""
    four_eyes: bool = False
    verified_only: bool = False
    needed: int = 1
    approved_by: tuple[str, ...] = ()

    def sentence(self) -> str:
        """Say for what a run waits."""
        revision = f", revision {self.revision}" if self.kind == "review" else ""
        whom = f" of {self.reviewer}" if self.reviewer else ""
        return f"a decision{whom} on {self.subject}{revision} (digest {self.digest})"


class TakenDecision(Record):
    """A decision that counts, on what, and when the run took it."""

    revision: int
    verdict: Verdict
    digest: str
    by: str
    at: datetime
    feedback: str = ""
    verified: bool = False
    request_id: int = 0
    subject: str = ""

    def sentence(self) -> str:
        """Say who decided what."""
        what = self.subject or f"revision {self.revision}"
        return f"{what} was {_SAID[self.verdict]} by {self.by or 'somebody'}"


class ApprovalState(Record):
    """What the query `approval` answers: all that is waited for, its first, the latest decision."""

    pending: PendingApproval | None = None
    latest: TakenDecision | None = None
    waiting: tuple[PendingApproval, ...] = ()


class CheckDecisionInput(Record):
    """A decision to be checked against its request; `escalated` says that others may decide too."""

    request_id: int
    decision: Decision
    escalated: bool = False


class DecisionCheck(Record):
    """What the check found: whether it is verified, and why it cannot count, if it cannot.

    Of an edit of arguments, `edit_digest` is what a tool call names them by, `about` a few words.
    """

    verified: bool = False
    reason: str = ""
    edit_digest: str = ""
    about: str = ""


class TriedDecision(Record):
    """A decision that somebody made; `number` tells apart those on one request.

    `reason` says why it did not count.
    """

    verdict: str
    by: str
    at: datetime
    number: int
    verified: bool = False
    via: str = ""
    counted: bool = False
    feedback: str = ""
    reason: str = ""


class RecordTriesInput(Record):
    """Decisions on a request to be written down."""

    request_id: int
    tries: tuple[TriedDecision, ...]


class MarkRequestInput(Record):
    """That a request was escalated, or its reviewers reminded."""

    request_id: int
    mark: Literal["reminded", "escalated"]
    at: datetime


class SettleRequestInput(Record):
    """How a request ended: by whom, when, and why; also why nobody decided."""

    request_id: int
    status: RequestStatus
    at: datetime
    by: str = ""
    verified: bool = False
    via: str = ""
    feedback: str = ""
    edit: str = ""
    edit_id: int = 0
    tries: tuple[TriedDecision, ...] = ()


class Outcome(Record):
    """What came of a request, for the run that asked.

    `via` is `default` where nobody decided and the request named what then counts. Of arguments
    that were edited, `edit_digest` and `about` are the new ones.
    """

    request_id: int
    digest: str
    status: RequestStatus
    at: datetime
    by: str = ""
    verified: bool = False
    via: str = ""
    feedback: str = ""
    edited: bool = False
    edit_digest: str = ""
    about: str = ""

    @property
    def approved(self) -> bool:
        """Whether what was asked may be done."""
        return self.status == "approved"

    @property
    def is_by_default(self) -> bool:
        """Whether nobody decided; somebody who gave no name did."""
        return self.status in {"expired", "withdrawn"} or (not self.by and self.via == BY_DEFAULT)
