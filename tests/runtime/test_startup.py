"""How services wait at their start, without servers."""

import pytest

from durable_agents.models.errors import (
    ConfigurationError,
    DatabaseUnavailableError,
    DurableAgentsError,
)
from durable_agents.runtime import startup
from durable_agents.runtime.startup import EXIT_TRY_LATER, exit_code_of, once_there

AWAY = DatabaseUnavailableError("The database does not answer.")
BEHIND = ConfigurationError("The database is empty.", may_pass=True)
WRONG = ConfigurationError("DATABASE_URL cannot be read.")


class Part:
    """Fails as told, one failure after the other, then is there."""

    def __init__(self, *failures: DurableAgentsError) -> None:
        self.left = list(failures)

    async def reach(self) -> str:
        if self.left:
            raise self.left.pop(0)
        return "reached"


@pytest.fixture(autouse=True)
def short_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(startup, "FIRST_PAUSE_S", 0.001)


async def test_what_may_pass_is_waited_for_and_said() -> None:
    part, said = Part(AWAY, AWAY, BEHIND), list[str]()

    reached = await once_there(part.reach, 60, said.append)

    assert reached == "reached"
    assert said == [AWAY.message, AWAY.message, BEHIND.message]


async def test_what_waiting_cannot_mend_is_raised_at_once() -> None:
    part, said = Part(AWAY, WRONG, AWAY), list[str]()

    with pytest.raises(ConfigurationError, match="cannot be read"):
        await once_there(part.reach, 60, said.append)

    assert said == [AWAY.message]
    assert len(part.left) == 1


async def test_without_time_to_wait_it_is_tried_once_and_nothing_is_said() -> None:
    part, said = Part(AWAY, AWAY), list[str]()

    with pytest.raises(DatabaseUnavailableError):
        await once_there(part.reach, 0, said.append)

    assert said == []
    assert len(part.left) == 1


async def test_after_the_time_the_last_failure_is_raised() -> None:
    part, said = Part(*[AWAY] * 1000), list[str]()

    with pytest.raises(DatabaseUnavailableError):
        await once_there(part.reach, 0.02, said.append)

    assert said


@pytest.mark.parametrize(
    ("error", "wait_s", "code"),
    [(AWAY, 600, EXIT_TRY_LATER), (BEHIND, 600, EXIT_TRY_LATER), (AWAY, 0, 2), (WRONG, 600, 2)],
)
def test_only_who_waited_in_vain_is_to_be_started_again(
    error: DurableAgentsError, wait_s: float, code: int
) -> None:
    assert exit_code_of(error, wait_s, final=2) == code
