"""Takes the arguments of tool calls from a person's words: cities, addresses, accounts, queries."""

import re
from dataclasses import dataclass
from functools import lru_cache

from durable_agents.simulator.conversation import ToolResult
from durable_agents.simulator.json_values import JsonObject, text_in
from durable_agents.simulator.judgements import urgency_of
from durable_agents.simulator.sentences import as_sentence, key_words, shortened
from durable_agents.simulator.weather import cities, plain_name

_URL = re.compile(r"https?://[^\s<>\"'`\])}]+")
_ACCOUNT = re.compile(r"\b[Aa]-\d{2,}\b|\baccount\s+(?:id|number|no\.?)?\s*#?\s*([\w-]*\d[\w-]*)")
_NAME = r"[A-Z][\w'\u2019-]*(?:\s+(?:(?:de|do|of|la|am)\s+)?[A-Z][\w'\u2019-]*)*"
_PLACES = re.compile(
    rf"\b(?:in|for|at|near|of)\s+({_NAME}(?:(?:\s*,\s*(?:and\s+)?|\s+(?:and|or)\s+){_NAME})*)"
)
_NO_CITY = re.compile(
    r"(?:I|It|Its|The|My|Our|Account|Celsius|Fahrenheit|Mon|Tues|Wednes|Thurs|Fri|Satur|Sun)(?:day)?"
    r"|January|February|March|April|May|June|July|August|September|October|November|December|Today"
)
_CITY_SAID = re.compile(rf"\b[Cc]ity[\"']?(?:\s*[:=]|\s+is)?\s*[\"']?({_NAME})")
_CLAUSE_END = re.compile(
    r"(?<=[.;?!])\s+|\n+|,?\s+(?:and\s+)?then\s+"
    r"|,?\s+and\s+(?:also\s+)?(?=(?:search|find|look|tell|what|how|check|explain|file|open|calculate)\b)",
    re.I,
)
_POLITENESS = re.compile(
    r"^(?:(?:please|kindly|hi|hello|thanks|can you|could you|would you|i need to know|"
    r"i want to know|tell me|help me|explain|find out|use the knowledge base|also|"
    r"search (?:the |our )?(?:knowledge base|docs|documentation)?\s*(?:for)?|look up|find|research|"
    r"investigate|task|question|query|topic|message|issue)\b[\s,:]*)+",
    re.I,
)
_KNOWLEDGE = re.compile(
    r"\b(polic(?:y|ies)|refunds?|returns?|warrant(?:y|ies)|guarantee|shipping|deliver(?:y|ies)|docs|"
    r"documentation|handbook|manual|knowledge base|faq|according to|"
    r"how (?:do|can|should) (?:i|we|you)|"
    r"how to|procedures?|guidelines?|terms of|search)\b",
    re.I,
)
_SEARCH_DEMANDED = re.compile(
    r"\b(search|knowledge base|according to|our (?:docs|documentation|polic\w+))\b", re.I
)
_QUESTION = re.compile(
    r"\?|^\W*(?:what|why|how|when|where|which|who|explain|describe|find|research|investigate|compare|"
    r"search|look|tell me)\b|\b(?:research|investigate|find out|not work\w*|broken|problem|help)\b",
    re.I | re.M,
)
_TICKET_VERB = re.compile(
    r"\b(?:file|open|create|raise|submit|log|make)\s+"
    r"(?:(?:me|us|a|an|the|new|support|\w+[- ]priority)\s+)*ticket\b"
    r"|\bescalate\s+(?:this|it|my|to)\b",
    re.I,
)
_TICKET_DENIED = re.compile(
    r"\b(?:do not|don't|never|without|no need to)\s+(?:\w+\s+)?(?:fil|open|creat|rais)\w*", re.I
)
_TICKET_SUBJECT = re.compile(
    r"(?:ticket|escalate)\b[^:.\n]*?"
    r"(?::\s*|\b(?:about|because|saying|that says|regarding|as)\s+)(.+)",
    re.I | re.S,
)
_PRIORITY = re.compile(
    r"\b(low|medium|high)[- ]priority\b|\bpriority\s*(?:is|of|:|=)?\s*(low|medium|high)\b", re.I
)
_FOR_ACCOUNT = re.compile(r"\s*\b(?:for|on|of|to)\s+(?:the\s+)?account\s+[\w-]+", re.I)


@dataclass(frozen=True)
class Ticket:
    """What a ticket that a person asks for would say."""

    subject: str
    description: str
    account_id: str | None
    priority: str

    def as_arguments(self) -> JsonObject:
        """The arguments of `file_ticket`."""
        return {
            "subject": self.subject,
            "description": self.description,
            "account_id": self.account_id,
            "priority": self.priority,
        }


def urls_in(text: str) -> list[str]:
    """Give the addresses in a text, without the punctuation that follows them."""
    return list(dict.fromkeys(url.rstrip(".,;:!?") for url in _URL.findall(text)))


def account_ids_in(text: str) -> list[str]:
    """Give the account ids in a text, such as A-1001."""
    found = (match.group(1) or match.group(0) for match in _ACCOUNT.finditer(text))
    return list(dict.fromkeys(account.upper() for account in found))


def cities_in(text: str) -> list[str]:
    """Give the cities a text names: those of the atlas, and what stands where a city would."""
    plain = plain_name(text)
    known = {match.group(0): match.start() for match in reversed(list(_atlas().finditer(plain)))}
    names, countries = _names(), _countries()
    found = {names[name]: position for name, position in known.items()}
    for match in _PLACES.finditer(text):
        for name in re.split(r"\s*,\s*(?:and\s+)?|\s+(?:and|or)\s+", match.group(1)):
            key = plain_name(name)
            unlike = any(city in key for city in known) or key in countries or key in names
            if not unlike and not _NO_CITY.fullmatch(name.split()[0]):
                found[name] = plain.find(key)
    return sorted(found, key=lambda name: found[name])


def cities_in_results(results: list[ToolResult]) -> list[str]:
    """Give the cities that tools returned as data; nothing else in a result counts."""
    found: list[str] = []
    for result in results:
        if result.error or result.name == "get_weather":
            continue
        city = text_in(result.value.get("city"))
        said = _CITY_SAID.search(result.text) if not result.value else None
        if city or said:
            found.append(city or (said.group(1) if said else ""))
    return list(dict.fromkeys(found))


def is_question(text: str) -> bool:
    """Tell whether a text asks something, or tells of a problem."""
    return _QUESTION.search(text) is not None


def knowledge_queries(text: str, *, nothing_else: bool, other_reading: bool) -> list[str]:
    """Say what to search the knowledge base for.

    Args:
        text: What a person asks.
        nothing_else: No other tool serves this text, so that any question is worth a search.
        other_reading: A page is fetched anyway, so that only a search asked for by name counts.
    """
    wanted = _SEARCH_DEMANDED if other_reading else _KNOWLEDGE
    clauses = [clause for clause in _CLAUSE_END.split(text) if key_words(clause)]
    asked = [clause for clause in clauses if wanted.search(clause) and not _URL.search(clause)]
    if not asked and nothing_else:
        asked = [clause for clause in clauses if _QUESTION.search(clause)] or clauses
    query = " ".join(_POLITENESS.sub("", clause.strip()) for clause in asked).strip()
    query = shortened(query.rstrip(" ?.!,"), 200)
    return [query] if key_words(query) else []


def ticket_in(text: str, said_before: str) -> Ticket | None:
    """Read the ticket a person asks for; None when none is asked for."""
    if not _TICKET_VERB.search(text) or _TICKET_DENIED.search(text):
        return None
    told = _TICKET_SUBJECT.search(text)
    about = told.group(1) if told else _TICKET_VERB.sub("", _FOR_ACCOUNT.sub("", text))
    about = _PRIORITY.sub("", about)
    about = _POLITENESS.sub("", about.strip(" .,:\n")).strip(" .,:\n")
    about = about if key_words(about) else said_before or text
    explicit = _PRIORITY.search(text)
    accounts = account_ids_in(text) or account_ids_in(said_before)
    priority = (explicit.group(1) or explicit.group(2)).lower() if explicit else ""
    return Ticket(
        subject=shortened(as_sentence(about).rstrip("."), 80),
        description=as_sentence(shortened(about, 1000)),
        account_id=accounts[0] if accounts else None,
        priority=priority or urgency_of(about).priority,
    )


def speaks_of_account_itself(text: str) -> bool:
    """Tell whether an account is to be looked up, or only named on a ticket."""
    without_ticket = _FOR_ACCOUNT.sub("", text) if _TICKET_VERB.search(text) else text
    return bool(account_ids_in(without_ticket)) or bool(
        re.search(r"\b(look up|lookup|details|status|plan)\b", without_ticket, re.I)
    )


@lru_cache(maxsize=1)
def _names() -> dict[str, str]:
    return {plain_name(city["name"]): text_in(city["name"]) for city in cities()}


@lru_cache(maxsize=1)
def _countries() -> frozenset[str]:
    return frozenset(plain_name(city["country"]) for city in cities())


@lru_cache(maxsize=1)
def _atlas() -> re.Pattern[str]:
    names = sorted(map(re.escape, _names()), key=len, reverse=True)
    return re.compile(rf"\b(?:{'|'.join(names)})\b")
