"""What a model sees of a conversation."""

from durable_agents.agent.context import build_messages, estimate_tokens
from durable_agents.agent.definition import AgentDefinition, AgentLimits
from durable_agents.db.threads import StoredMessage

AGENT = AgentDefinition(name="a", instructions="Be good.", limits=AgentLimits(context_chars=200))


def user(text: str) -> StoredMessage:
    return StoredMessage(1, 1, "user", text)


def calling(*call_ids: str, text: str = "") -> StoredMessage:
    calls = [{"id": call_id, "name": "calculate", "arguments": "{}"} for call_id in call_ids]
    return StoredMessage(1, 1, "assistant", text, tool_calls=calls)


def observed(call_id: str, text: str = "42") -> StoredMessage:
    return StoredMessage(1, 1, "tool", text, tool_call_id=call_id)


def contents(*conversation: StoredMessage) -> list[str | None]:
    return [message["content"] for message in build_messages(AGENT, conversation)]


def test_an_empty_conversation_has_instructions_only() -> None:
    assert build_messages(AGENT, []) == [{"role": "system", "content": "Be good."}]


def test_calls_and_observations_take_the_form_of_the_api() -> None:
    messages = build_messages(AGENT, [user("Task"), calling("c0"), observed("c0")])

    assert messages[2:] == [
        {
            "role": "assistant",
            "content": None,
            "tool_calls": [
                {
                    "id": "c0",
                    "type": "function",
                    "function": {"name": "calculate", "arguments": "{}"},
                }
            ],
        },
        {"role": "tool", "tool_call_id": "c0", "content": "42"},
    ]


def test_the_task_and_the_latest_turns_are_kept() -> None:
    said = contents(user("Task"), user("old " * 30), user("newer " * 5), user("newest"))

    assert said == ["Be good.", "Task", "newer " * 5, "newest"]


def test_the_latest_turn_is_kept_even_when_it_does_not_fit() -> None:
    said = contents(user("Task"), user("old"), user("newest" * 100))

    assert said == ["Be good.", "Task", "newest" * 100]


def test_a_turn_is_kept_or_left_out_as_a_whole() -> None:
    said = contents(
        user("Task"),
        calling("c0", "c1"),
        observed("c0", "x" * 60),
        observed("c1", "y" * 60),
        user("newest" * 4),
    )

    assert said == ["Be good.", "Task", "newest" * 4]


def test_long_arguments_count_as_much_as_long_texts() -> None:
    wordy = StoredMessage(
        1, 1, "assistant", "", [{"id": "c0", "name": "fetch_url", "arguments": "x" * 300}]
    )

    said = contents(user("Task"), wordy, observed("c0"), user("newest"))

    assert said == ["Be good.", "Task", "newest"]


def test_calls_without_their_observations_are_left_out() -> None:
    said = contents(user("Task"), calling("c0", "c1", text="half"), observed("c0"), user("Next"))

    assert said == ["Be good.", "Task", "Next"]


def test_observations_without_their_calls_are_left_out() -> None:
    said = contents(observed("c9", "lost"), user("Task"), observed("c8", "lost"), user("Next"))

    assert said == ["Be good.", "Task", "Next"]


def test_tokens_are_estimated_on_the_high_side() -> None:
    text = "The quick brown fox jumps over the lazy dog. " * 10  # about 100 tokens

    estimated = estimate_tokens([{"role": "user", "content": text}], tools=350)

    assert 200 < estimated < 300


def test_characters_that_are_a_token_each_are_no_way_around_the_estimate() -> None:
    assert estimate_tokens([{"role": "user", "content": "\u6c34" * 700}]) >= 600
