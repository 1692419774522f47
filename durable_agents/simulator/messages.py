"""What a chat completion request looks like on the wire, and what OpenAI refuses about it."""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from durable_agents.simulator.json_values import JsonObject


class ContentPart(BaseModel):
    """One part of a message; parts that are not text are not looked at."""

    type: str
    text: str = ""


class FunctionCall(BaseModel):
    """Which function a call names, and its arguments as JSON text."""

    name: str
    arguments: str


class ToolCall(BaseModel):
    """One tool call of an assistant's message."""

    id: str
    type: Literal["function"] = "function"
    function: FunctionCall


class Message(BaseModel):
    """One message of the conversation."""

    role: Literal["system", "developer", "user", "assistant", "tool"]
    content: str | list[ContentPart] | None = None
    tool_calls: list[ToolCall] | None = None
    tool_call_id: str | None = None

    @property
    def text(self) -> str:
        """The message's text, whatever form it came in."""
        if isinstance(self.content, list):
            return "\n".join(part.text for part in self.content)
        return self.content or ""


class FunctionDefinition(BaseModel):
    """A tool that is offered: name, purpose, JSON schema of its arguments."""

    name: str = Field(pattern=r"^[a-zA-Z0-9_-]{1,64}$")
    description: str = ""
    parameters: JsonObject = Field(default_factory=dict[str, object])


class ToolDefinition(BaseModel):
    """The envelope of an offered tool."""

    type: Literal["function"]
    function: FunctionDefinition


class JsonSchemaFormat(BaseModel):
    """The schema that an answer must fit."""

    model_config = ConfigDict(populate_by_name=True)

    name: str
    schema_: JsonObject = Field(alias="schema", default_factory=dict[str, object])
    strict: bool | None = None


class ResponseFormat(BaseModel):
    """How the answer is to be written."""

    type: Literal["text", "json_object", "json_schema"]
    json_schema: JsonSchemaFormat | None = None


class NamedFunction(BaseModel):
    """The name inside a tool choice."""

    name: str


class NamedToolChoice(BaseModel):
    """A tool choice that demands one tool."""

    type: Literal["function"]
    function: NamedFunction


class StreamOptions(BaseModel):
    """Whether a stream ends with its usage."""

    include_usage: bool = False


class ChatRequest(BaseModel):
    """The body of `POST /v1/chat/completions`; fields that are not here are ignored."""

    model: str
    messages: list[Message] = Field(min_length=1)
    tools: list[ToolDefinition] = Field(default_factory=list[ToolDefinition])
    tool_choice: Literal["auto", "none", "required"] | NamedToolChoice = "auto"
    parallel_tool_calls: bool = True
    response_format: ResponseFormat | None = None
    max_tokens: int | None = Field(default=None, ge=1)
    max_completion_tokens: int | None = Field(default=None, ge=1)
    stream: bool = False
    stream_options: StreamOptions | None = None

    @property
    def token_limit(self) -> int | None:
        """How many tokens the answer may have."""
        return self.max_completion_tokens or self.max_tokens


def refusal_of_messages(request: ChatRequest) -> str | None:
    """Say what OpenAI would refuse about the order of messages, if anything.

    Each tool message answers a call of the assistant's message before it, and each call is
    answered before the next message that is not a tool's.
    """
    waiting: set[str] = set()
    for position, message in enumerate(request.messages):
        if message.role == "tool":
            if message.tool_call_id not in waiting:
                return (
                    f"Invalid parameter: messages[{position}] with role 'tool' must be a response "
                    "to a preceding message with 'tool_calls'."
                )
            waiting.discard(message.tool_call_id)
            continue
        if waiting:
            return _unanswered(waiting)
        if message.tool_calls:
            waiting = {call.id for call in message.tool_calls}
    return _unanswered(waiting) if waiting else None


def refusal_of_format(request: ChatRequest) -> str | None:
    """Say what OpenAI would refuse about `response_format`, if anything."""
    wanted = request.response_format
    if wanted is None or wanted.type == "text":
        return None
    if wanted.type == "json_object":
        if any("json" in message.text.lower() for message in request.messages):
            return None
        return (
            "'messages' must contain the word 'json' in some form, to use 'response_format' of "
            "type 'json_object'."
        )
    if wanted.json_schema is None:
        return "Missing required parameter: 'response_format.json_schema'."
    schema = wanted.json_schema.schema_
    if schema.get("type") != "object" and "$ref" not in schema:
        return (
            f"Invalid schema for response_format '{wanted.json_schema.name}': schema must be a "
            "JSON Schema of 'type: \"object\"'."
        )
    return None


def _unanswered(waiting: set[str]) -> str:
    return (
        "An assistant message with 'tool_calls' must be followed by tool messages responding to "
        "each 'tool_call_id'. The following tool_call_ids did not have response messages: "
        + ", ".join(sorted(waiting))
    )
