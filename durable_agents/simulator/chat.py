"""The model: reads a chat completion request and says what comes next, faults included."""

import json
import re

from pydantic import ValidationError

from durable_agents.simulator import MODEL_NAME
from durable_agents.simulator.answering import answer_to
from durable_agents.simulator.completions import Completion
from durable_agents.simulator.conversation import Conversation, ToolResult
from durable_agents.simulator.faults import Fault
from durable_agents.simulator.json_values import JsonObject, object_in, parsed
from durable_agents.simulator.messages import (
    ChatRequest,
    refusal_of_format,
    refusal_of_messages,
)
from durable_agents.simulator.obeying import obey
from durable_agents.simulator.openai_errors import OpenAIRequestError, malformed
from durable_agents.simulator.planning import Call, looped_call, plan
from durable_agents.simulator.reading import Reading
from durable_agents.simulator.schemas import filled

TOO_LONG = 3_000_000  # characters; over Temporal's limit of 2 MB for a payload
_JSON_KEY = re.compile(r"""["'`](\w{1,40})["'`]\s*:""")
_NONSENSE = "Colourless green ideas sleep furiously."
_REFUSAL = "I'm sorry, but I can't help with that."


def read_request(body: bytes) -> ChatRequest:
    """Read a body.

    Raises:
        OpenAIRequestError: It is not one that OpenAI would take.
    """
    try:
        request = ChatRequest.model_validate_json(body)
    except ValidationError as error:
        raise malformed(error) from error
    if request.model != MODEL_NAME:
        raise OpenAIRequestError(
            404,
            f"The model '{request.model}' does not exist or you do not have access to it. "
            f"The simulator has '{MODEL_NAME}'.",
            code="model_not_found",
        )
    if refused := refusal_of_messages(request):
        raise OpenAIRequestError(400, refused, param="messages")
    if refused := refusal_of_format(request):
        raise OpenAIRequestError(400, refused, param="response_format")
    return request


def complete(request: ChatRequest) -> Completion:
    """Say what comes next: tool calls while results are missing, then the answer."""
    conversation = Conversation(request.messages)
    planned = plan(request, conversation)
    if planned.calls:
        return _calling(planned.calls)
    return Completion(content=_content(request, conversation, planned.results)).within(
        request.token_limit
    )


def complete_wrongly(request: ChatRequest, fault: Fault) -> Completion:
    """Say what comes next, spoiled by a fault of content."""
    match fault.kind:
        case "nonsense":
            return Completion(content=fault.text or _NONSENSE)
        case "empty":
            return Completion(content="")
        case "refusal":
            return Completion(refusal=fault.text or _REFUSAL)
        case "unknown_tool":
            return Completion(tool_calls=[("no_such_tool", "{}")], finish_reason="tool_calls")
        case "loop":
            call = looped_call(request, Conversation(request.messages))
            return _calling([call]) if call else complete(request)
        case "bad_arguments":
            call = looped_call(request, Conversation(request.messages))
            name = call.name if call else "no_such_tool"
            arguments = fault.text if fault.text is not None else '{"unexpected": "argument"}'
            return Completion(tool_calls=[(name, arguments)], finish_reason="tool_calls")
        case "obey":
            return obey(request) or complete(request)
        case "cut_short":
            return _cut_short(complete(request))
        case "too_long":
            return _too_long(complete(request))
        case _:
            return complete(request)


def _content(request: ChatRequest, conversation: Conversation, results: list[ToolResult]) -> str:
    wanted = request.response_format
    if wanted is None or wanted.type == "text":
        return answer_to(conversation, results)
    reading = Reading(conversation, results)
    schema = wanted.json_schema.schema_ if wanted.json_schema else _schema_in(conversation)
    return json.dumps(filled(schema, reading), ensure_ascii=False)


def _schema_in(conversation: Conversation) -> JsonObject:
    """Read the keys that a prompt for plain JSON names; "answer" when it names none."""
    text = f"{conversation.instructions}\n{conversation.task}"
    keys = dict.fromkeys(_JSON_KEY.findall(text)) or {"answer": None}
    return {
        "type": "object",
        "properties": {key: {"type": _likely_type(key)} for key in keys},
        "required": list(keys),
    }


def _likely_type(key: str) -> str:
    if re.search(r"confiden|score|probab|count|rating", key, re.I):
        return "number"
    if re.search(r"^(is|has|should|needs)_|escalat|complete|approved", key, re.I):
        return "boolean"
    return (
        "array"
        if re.search(r"(topic|finding|keyword|point|question|source|tag)s$", key, re.I)
        else "string"
    )


def _calling(calls: list[Call]) -> Completion:
    written = [(call.name, json.dumps(call.arguments, ensure_ascii=False)) for call in calls]
    return Completion(tool_calls=written, finish_reason="tool_calls")


def _cut_short(completion: Completion) -> Completion:
    """Stop halfway, in the text or in the last call's arguments."""
    if completion.tool_calls:
        *before, (name, arguments) = completion.tool_calls
        halved = [*before, (name, arguments[: len(arguments) // 2])]
        return Completion(tool_calls=halved, finish_reason="length")
    content = completion.content or ""
    return Completion(content=content[: len(content) // 2], finish_reason="length")


def _too_long(completion: Completion) -> Completion:
    """Go on and on: within the first text of a structured answer, else in the answer itself."""
    content = completion.content or "This answer does not end."
    fields = object_in(parsed(content))
    first = next((key for key, value in fields.items() if isinstance(value, str)), None)
    if first is None:
        return Completion(content=(f"{content} " * (TOO_LONG // (len(content) + 1) + 1)))
    fields[first] = "and so on " * (TOO_LONG // 10)
    return Completion(content=json.dumps(fields))
