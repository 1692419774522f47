"""The answer that is expected follows what answers had, and is never longer than allowed."""

from durable_agents.agent.answer_lengths import AnswerLengths


def lengths(*seen: int) -> AnswerLengths:
    """What was noted of one agent and model."""
    noted = AnswerLengths()
    for tokens in seen:
        noted.note("a", "m", tokens)
    return noted


def test_the_longest_answer_is_expected_while_none_was_seen() -> None:
    assert lengths().expected("a", "m", 4000) == 4000
    assert lengths(100).expected("other", "m", 4000) == 4000
    assert lengths(100).expected("a", "other", 4000) == 4000


def test_answers_of_one_length_are_soon_expected_as_they_are() -> None:
    assert lengths(100).expected("a", "m", 4000) == 200
    assert lengths(*[100] * 20).expected("a", "m", 4000) == 100


def test_answers_of_many_lengths_are_expected_longer_than_the_mean() -> None:
    assert 200 < lengths(*[100, 300] * 20).expected("a", "m", 4000) <= 420


def test_no_more_is_expected_than_is_allowed() -> None:
    assert lengths(*[3000] * 5).expected("a", "m", 1000) == 1000


def test_longer_answers_are_noticed() -> None:
    assert lengths(*[100] * 20, *[1000] * 20).expected("a", "m", 4000) >= 900
