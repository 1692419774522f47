"""What a model sees: the instructions and as much of the conversation as fits."""

from collections.abc import Sequence
from typing import Any

from durable_agents.agent.definition import AgentDefinition
from durable_agents.db.threads import StoredMessage

BYTES_PER_TOKEN = 3.5  # a cautious mean over English text and JSON; others have longer characters


def build_messages(
    agent: AgentDefinition,
    conversation: Sequence[StoredMessage],
    *,
    task: int = 0,
    user_id: str = "",
) -> list[dict[str, Any]]:
    """Turn a stored conversation, oldest first, into the messages of a request.

    The message `task` (the first one when there is none of this id) is kept; of the others the
    latest that fit into the agent's `context_chars`. A tool call without its observation, or the
    other way round, is left out, because servers refuse such a conversation.
    """
    system = {"role": "system", "content": agent.instructions_for(user_id)}
    turns = _whole_turns(conversation)
    if not turns:
        return [system]
    pinned = next((n for n, turn in enumerate(turns) if turn[0].message_id == task), 0)
    room = agent.limits.context_chars - _size(turns[pinned])
    kept = {pinned}
    for number in range(len(turns) - 1, -1, -1):
        if number == pinned:
            continue
        room -= _size(turns[number])
        if room < 0 and len(kept) > 1:
            break
        kept.add(number)
    return [system, *(_as_request(m) for number in sorted(kept) for m in turns[number])]


def estimate_tokens(messages: Sequence[dict[str, Any]], tools: int = 0) -> int:
    """About how many tokens a request has; `tools` is the length of their schemas."""
    said = sum(_bytes(m.get("content") or "") + 20 for m in messages)
    calls = sum(_bytes(str(m["tool_calls"])) for m in messages if m.get("tool_calls"))
    return int((said + calls + tools) / BYTES_PER_TOKEN) + 1


def _bytes(text: str) -> int:
    """The length in UTF-8, which tokens of all scripts go by rather than by characters."""
    return len(text) if text.isascii() else len(text.encode("utf-8", "replace"))


def _whole_turns(conversation: Sequence[StoredMessage]) -> list[list[StoredMessage]]:
    """Group each message with tool calls and its observations; drop the incomplete ones."""
    turns: list[list[StoredMessage]] = []
    for message in conversation:
        if message.role != "tool":
            turns.append([message])
        elif turns and turns[-1][0].tool_calls:
            turns[-1].append(message)
    return [turn for turn in turns if len(turn) == 1 + len(turn[0].tool_calls or ())]


def _size(turn: Sequence[StoredMessage]) -> int:
    """About how many characters a turn has, with the arguments of its calls."""
    calls = sum(len(str(call["arguments"])) for m in turn for call in m.tool_calls or ())
    return calls + sum(len(message.content) + 20 for message in turn)


def _as_request(message: StoredMessage) -> dict[str, Any]:
    """A stored message in the form of the API."""
    if message.role == "tool":
        return {
            "role": "tool",
            "tool_call_id": message.tool_call_id,
            "content": message.content,
        }
    if message.tool_calls:
        calls = [
            {
                "id": call["id"],
                "type": "function",
                "function": {"name": call["name"], "arguments": call["arguments"]},
            }
            for call in message.tool_calls
        ]
        return {"role": message.role, "content": message.content or None, "tool_calls": calls}
    return {"role": message.role, "content": message.content}
