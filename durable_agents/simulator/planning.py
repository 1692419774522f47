"""Decides which of the offered tools to call next, from what the person asks.

Tools that are known by name are planned from the words of the task. Any other tool is planned
when its name or description shares words with the task, and its schema says how it is filled.
A call whose result is already there is not made again. Nothing a tool returned can cause a call;
it can only supply the data (a city) that a call the person asked for was waiting for.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass

from durable_agents.simulator import tool_arguments as arguments_from
from durable_agents.simulator.arithmetic import expressions_in
from durable_agents.simulator.clothing import weather_in
from durable_agents.simulator.conversation import Conversation, ToolResult, call_key
from durable_agents.simulator.json_values import JsonObject, list_in, object_in, parsed, text_in
from durable_agents.simulator.messages import ChatRequest, FunctionDefinition, NamedToolChoice
from durable_agents.simulator.reading import Reading
from durable_agents.simulator.schemas import filled
from durable_agents.simulator.sentences import key_words
from durable_agents.simulator.vocabularies import vocabulary

SCRIPTED_ROUNDS = re.compile(r"\bsimulate (\d+) rounds?\b", re.I)
_SCRIPTED_EXPRESSION = re.compile(r"1 \+ (\d+)")
_WEATHER = re.compile(
    r"\b(weather|forecast|temperatures?|rain\w*|umbrella|wear|sunny|snow\w*|wind|windy|warm|cold|hot)\b",
    re.I,
)
_WEAK_NAME_WORDS = vocabulary("weak tool names")


@dataclass(frozen=True)
class Call:
    """A tool call to make."""

    name: str
    arguments: JsonObject


@dataclass(frozen=True)
class Plan:
    """The calls to make now, and the results that answer the task so far."""

    calls: list[Call]
    results: list[ToolResult]


def plan(request: ChatRequest, conversation: Conversation) -> Plan:
    """Plan the next step: calls that are still missing, or none when all that helps is there."""
    tools = {tool.function.name: tool.function for tool in request.tools}
    if not tools or request.tool_choice == "none":
        return Plan([], conversation.results_since_task)
    if isinstance(request.tool_choice, NamedToolChoice):
        forced = tools.get(request.tool_choice.function.name)
        return Plan([_forced(forced, conversation)] if forced else [], [])
    scripted = SCRIPTED_ROUNDS.search(conversation.task)
    if scripted and "calculate" in tools:
        calls = _next_scripted_round(int(scripted.group(1)), conversation)
        return Plan(calls, conversation.results_since_task[-1:])
    wanted = [
        Call(call.name, fitted(call.arguments, tools[call.name], conversation))
        for call in _wanted(conversation, tools)
    ]
    missing = [c for c in wanted if call_key(c.name, c.arguments) not in conversation.calls_done]
    if not wanted and request.tool_choice == "required":
        missing = [_forced(_likeliest(tools, conversation.prompt.asked), conversation)]
    if not request.parallel_tool_calls:
        missing = missing[:1]
    return Plan(missing, _relevant_results(wanted, conversation))


def fitted(
    arguments: JsonObject, tool: FunctionDefinition, conversation: Conversation
) -> JsonObject:
    """Keep the arguments that the tool knows, and fill the required ones that are missing."""
    properties = object_in(tool.parameters.get("properties"))
    if not properties:
        return arguments
    kept = {name: value for name, value in arguments.items() if name in properties}
    missing = [name for name in list_in(tool.parameters.get("required")) if name not in kept]
    if not missing:
        return kept
    rest = {name: properties[name] for name in missing if name in properties}
    schema = tool.parameters | {"properties": rest, "required": missing}
    return kept | object_in(filled(schema, Reading(conversation, [])))


def looped_call(request: ChatRequest, conversation: Conversation) -> Call | None:
    """Give the call that a model stuck in a loop would make every time."""
    tools = {tool.function.name: tool.function for tool in request.tools}
    if not tools:
        return None
    wanted = _wanted(conversation, tools)
    if wanted:
        return Call(
            wanted[0].name, fitted(wanted[0].arguments, tools[wanted[0].name], conversation)
        )
    return _forced(_likeliest(tools, conversation.prompt.asked), conversation)


def _wanted(conversation: Conversation, tools: dict[str, FunctionDefinition]) -> list[Call]:
    """List the calls that serve the task, whether they were made or not."""
    asked = conversation.prompt.asked
    calls = [
        Call(name, arguments)
        for name, planner in _PLANNERS.items()
        if name in tools
        for arguments in planner(asked, conversation)
    ]
    for name, tool in tools.items():
        if name not in _PLANNERS and name != "search_knowledge" and _serves(tool, asked):
            calls.append(Call(name, object_in(filled(tool.parameters, Reading(conversation, [])))))
    if "search_knowledge" in tools:
        queries = arguments_from.knowledge_queries(
            asked if calls else conversation.prompt.question,
            nothing_else=not (calls or conversation.prompt.material)
            and arguments_from.is_question(asked),
            other_reading=any(call.name == "fetch_url" for call in calls),
        )
        calls += [Call("search_knowledge", {"query": query}) for query in queries]
    return calls


def _calculations(asked: str, _: Conversation) -> list[JsonObject]:
    return [{"expression": expression} for expression in expressions_in(asked)]


def _weather_queries(asked: str, conversation: Conversation) -> list[JsonObject]:
    if not _WEATHER.search(asked) or weather_in(conversation.task):
        return []
    cities = arguments_from.cities_in(asked) or arguments_from.cities_in_results(
        conversation.results
    )
    return [{"city": city} for city in cities]


def _pages(asked: str, _: Conversation) -> list[JsonObject]:
    return [{"url": url} for url in arguments_from.urls_in(asked)]


def _accounts(asked: str, conversation: Conversation) -> list[JsonObject]:
    if not arguments_from.speaks_of_account_itself(asked):
        return []
    named = arguments_from.account_ids_in(asked)
    accounts = named or arguments_from.account_ids_in(conversation.instructions)
    return [{"account_id": account} for account in accounts]


def _tickets(asked: str, conversation: Conversation) -> list[JsonObject]:
    ticket = arguments_from.ticket_in(asked, conversation.said_before)
    return [ticket.as_arguments()] if ticket else []


_PLANNERS: dict[str, Callable[[str, Conversation], list[JsonObject]]] = {
    "lookup_account": _accounts,
    "calculate": _calculations,
    "get_weather": _weather_queries,
    "fetch_url": _pages,
    "file_ticket": _tickets,
}


def _next_scripted_round(rounds: int, conversation: Conversation) -> list[Call]:
    """Continue "simulate N rounds" from the last call, since older ones may have been cut off."""
    done = 0
    for message in reversed(conversation.messages[conversation.task_index + 1 :]):
        for call in reversed(message.tool_calls or []):
            expression = text_in(object_in(parsed(call.function.arguments)).get("expression"))
            last = _SCRIPTED_EXPRESSION.fullmatch(expression)
            if last:
                done = int(last.group(1)) + 1
                break
        if done:
            break
    return [Call("calculate", {"expression": f"1 + {done}"})] if done < rounds else []


def _relevant_results(wanted: list[Call], conversation: Conversation) -> list[ToolResult]:
    since = conversation.results_since_task
    known = {call_key(result.name, result.arguments) for result in since}
    keys = [call_key(call.name, call.arguments) for call in wanted]
    earlier = [
        conversation.calls_done[key]
        for key in keys
        if key in conversation.calls_done and key not in known
    ]
    return earlier + since


def _forced(tool: FunctionDefinition, conversation: Conversation) -> Call:
    """Call a tool because it must be called, with the best arguments there are."""
    planner = _PLANNERS.get(tool.name)
    planned = planner(conversation.prompt.asked, conversation) if planner else []
    missing = [a for a in planned if call_key(tool.name, a) not in conversation.calls_done]
    if missing or planned:
        return Call(tool.name, fitted((missing or planned)[0], tool, conversation))
    return Call(tool.name, object_in(filled(tool.parameters, Reading(conversation, []))))


def _likeliest(tools: dict[str, FunctionDefinition], asked: str) -> FunctionDefinition:
    return max(tools.values(), key=lambda tool: _overlap(tool, asked))


def _serves(tool: FunctionDefinition, asked: str) -> bool:
    """Tell whether a tool is about the task: a word of its name, or three of its description."""
    return _overlap(tool, asked) >= 3


def _overlap(tool: FunctionDefinition, asked: str) -> int:
    """Weigh the words a tool shares with the task: those of its name count three times."""
    words = set(key_words(asked))
    name = set(key_words(tool.name.replace("_", " ").replace("-", " "))) - _WEAK_NAME_WORDS
    return 3 * len(words & name) + len((words & set(key_words(tool.description))) - name)
