"""The options of runs that wait for people: what contradicts itself starts nothing."""

import pytest

from durable_agents.models.errors import InputError
from starters.approval_options import approval_options


@pytest.mark.parametrize(
    ("needed", "four_eyes", "verified_only"),
    [(2, False, False), (1, True, False), (1, False, True)],
)
def test_nobody_approves_what_more_than_anybody_has_to(
    needed: int, four_eyes: bool, verified_only: bool
) -> None:
    strict = (needed, four_eyes, verified_only)

    with pytest.raises(InputError, match="cannot count as approved when nobody decides"):
        approval_options("", "", 0, "approve", *strict)

    assert approval_options("", "", 0, "reject", *strict).default_verdict == "reject"
    assert approval_options("", "", 0, "approve", 1, False, False).default_verdict == "approve"
