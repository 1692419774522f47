"""Puts what tools returned into sentences."""

from collections.abc import Callable

from durable_agents.simulator.conversation import ToolResult
from durable_agents.simulator.json_values import JsonObject, list_in, object_in, text_in
from durable_agents.simulator.sentences import as_sentence, best_sentences, shortened

LONGEST_REPORT = 700  # characters of one tool's result in an answer


def reported(result: ToolResult, question: str) -> str:
    """Say in one or two sentences what a tool returned, or that it failed."""
    if result.error:
        return (
            f"The tool {result.name} failed: {as_sentence(shortened(result.error, LONGEST_REPORT))}"
        )
    reporter = _REPORTERS.get(result.name)
    told = reporter(result.value, question) if reporter and result.value else ""
    return told or _anything(result, question)


def number_text(value: object) -> str:
    """Write a number as a person would: 310 and not 310.0, ten significant digits at most."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return str(value)
    return f"{value:.10g}" if abs(value) < 1e15 else str(value)


def _calculation(value: JsonObject, _: str) -> str:
    if "value" not in value:
        return ""
    return f"{value.get('expression', 'The result')} = {number_text(value['value'])}."


def _weather(value: JsonObject, _: str) -> str:
    temperature = value.get("temperature_c")
    if not isinstance(temperature, int | float):
        return ""
    facts = [f"{round(temperature) or 0} °C"]
    if value.get("condition"):
        facts.append(str(value["condition"]))
    wind = value.get("wind_kmh")
    if isinstance(wind, int | float):
        facts.append(f"wind {round(wind)} km/h")
    return f"{value.get('city', 'There')}: {', '.join(facts)}."


def _search(value: JsonObject, question: str) -> str:
    hits = [object_in(hit) for hit in list_in(value.get("hits"))]
    told: list[str] = []
    for hit in hits[:3]:
        excerpt = " ".join(best_sentences(text_in(hit.get("excerpt")), 2, question))
        if excerpt:
            source = hit.get("source") or hit.get("title") or "the knowledge base"
            title = hit.get("title") or source
            named = f"{title} ({source})" if title != source else str(title)
            told.append(f"{as_sentence(shortened(excerpt, LONGEST_REPORT))} [source: {named}]")
    return "\n".join(told) or "The knowledge base has nothing on this."


def _account(value: JsonObject, _: str) -> str:
    identity = value.get("account_id", "")
    if value.get("found") is False:
        return f"There is no account {identity}."
    facts = _facts({k: v for k, v in value.items() if k not in {"account_id", "found"}})
    return f"Account {identity}: {facts}."


def _ticket(value: JsonObject, _: str) -> str:
    if "ticket_id" not in value:
        return ""
    facts = _facts({key: value[key] for key in ("priority", "status") if value.get(key)})
    return f"Ticket {value['ticket_id']} has been filed{f' ({facts})' if facts else ''}."


def _page(value: JsonObject, question: str) -> str:
    lead = " ".join(best_sentences(text_in(value.get("text")), 3, question))
    if not lead:
        return f"The page {value.get('url', '')} has no text."
    title = value.get("title") or "The page"
    return f"{title} ({value.get('url', '')}) says: {as_sentence(shortened(lead, LONGEST_REPORT))}"


def _anything(result: ToolResult, question: str) -> str:
    if result.value:
        return f"{result.name}: {_facts(result.value)}."
    if not result.text:
        return f"The tool {result.name} returned nothing."
    text = " ".join(best_sentences(result.text, 3, question)) or result.text
    return f"{result.name}: {as_sentence(shortened(text, LONGEST_REPORT))}"


def _facts(value: JsonObject) -> str:
    """List the plain values of an object, with their names where these say something."""
    named = [
        f"{key.replace('_', ' ')} {number_text(item)}"
        for key, item in value.items()
        if isinstance(item, str | int | float) and item != ""
    ]
    return shortened(", ".join(named), LONGEST_REPORT) or "no details"


_REPORTERS: dict[str, Callable[[JsonObject, str], str]] = {
    "calculate": _calculation,
    "get_weather": _weather,
    "search_knowledge": _search,
    "lookup_account": _account,
    "file_ticket": _ticket,
    "fetch_url": _page,
}
