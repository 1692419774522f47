import pytest

from tests.simulator.talking import say, user

COLD = '{"city":"Oslo","temperature_c":-7.5,"wind_kmh":35,"precipitation_mm":0,"condition":"clear"}'
WET = '{"city":"Oslo","temperature_c":4.2,"wind_kmh":12,"precipitation_mm":0.4,"condition":"rain"}'
HOT = (
    '{"city":"Rome","temperature_c":31.0,"wind_kmh":5,"precipitation_mm":0,"condition":"clear sky"}'
)


@pytest.mark.parametrize(
    ("weather", "said", "unsaid"),
    [
        (COLD, ["-8 °C", "winter coat", "windproof"], ["umbrella"]),
        (WET, ["4 °C", "jacket", "umbrella"], ["windproof"]),
        (HOT, ["31 °C", "light"], ["umbrella", "coat"]),
        ("Lima: 18 °C, no rain", ["18 °C", "long-sleeved"], ["umbrella"]),
    ],
)
def test_advice_fits_the_weather(weather: str, said: list[str], unsaid: list[str]) -> None:
    advice = say(f"Given this weather {weather}, what should I wear?").content or ""

    assert all(words in advice for words in said)
    assert not any(words in advice for words in unsaid)


def test_a_summary_is_made_of_the_texts_own_sentences() -> None:
    text = (
        "The mill closed in 1990. It was old. Nobody bought the mill. The mill burned. It rained."
    )

    summary = say(f"Summarise this text:\n\n{text}").content or ""

    assert "The mill closed in 1990." in summary
    assert len(summary) < len(text)
    assert all(sentence.strip() in text for sentence in summary.split("."))


def test_a_question_is_answered_from_what_was_said_before() -> None:
    messages = [
        user("My name is Ada and I like green tea."),
        {"role": "assistant", "content": "Good."},
        user("Which tea do I like?"),
    ]

    assert say(messages).content == "My name is Ada and I like green tea."


def test_what_it_cannot_know_it_does_not_invent() -> None:
    answer = say("What is the capital of France?").content or ""

    assert "Paris" not in answer
    assert "Nothing in this conversation answers" in answer


def test_a_support_reply_takes_up_the_issue() -> None:
    system = {"role": "system", "content": "You are a support agent for customers."}

    reply = say([system, user("My printer is on fire!")]).content or ""

    assert "sorry" in reply
    assert "printer is on fire" in reply
