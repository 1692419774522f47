"""People who sign in: who they are, and what they may decide."""

from datetime import datetime

from durable_agents.models.base import Record

REVIEWER, ADMIN, OPERATOR = "reviewer", "admin", "operator"


class Person(Record):
    """Somebody who may sign in.

    `name` is what they sign in with and what a decision records; it is unique and never changes.
    `session_epoch` ends all their sessions when it is raised.
    """

    user_id: int
    name: str
    display_name: str = ""
    email: str = ""
    roles: tuple[str, ...] = ()
    disabled: bool = False
    session_epoch: int = 0
    has_password: bool = False
    created_at: datetime

    @property
    def shown_name(self) -> str:
        """What others are shown."""
        return self.display_name or self.name

    def is_meant_by(self, reviewer: str) -> bool:
        """Whether a request for this reviewer is for this person.

        Args:
            reviewer: A person's name or a role; empty means anybody with the role `reviewer`.
        """
        return reviewer == self.name or (reviewer or REVIEWER) in self.roles
