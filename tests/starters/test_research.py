"""How `durable-agents research` ends."""

import pytest
import typer

from durable_agents.models.research import ResearchResult
from starters.research import finish
from starters.terminal import EXIT_NO_ANSWER


def test_findings_in_place_of_a_report_end_the_command_with_a_code_of_their_own() -> None:
    with pytest.raises(typer.Exit) as ended:
        finish(ResearchResult(report="No report was written", stopped="failed", written=False))

    assert ended.value.exit_code == EXIT_NO_ANSWER == 3


def test_a_report_that_was_written_ends_the_command_well_however_improving_it_ended() -> None:
    finish(ResearchResult(report="The report", stopped="failed"))
