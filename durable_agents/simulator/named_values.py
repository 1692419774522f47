"""Says what a field of a structured answer holds, judged by the field's name."""

import re
from collections.abc import Callable
from dataclasses import dataclass

from durable_agents.simulator.facts import fact_finder, number_beside
from durable_agents.simulator.json_values import JsonObject, list_in, object_in
from durable_agents.simulator.judgements import best_option, is_sentiment, sentiment_option
from durable_agents.simulator.reading import Reading
from durable_agents.simulator.sentences import (
    as_sentence,
    best_sentences,
    key_words,
    sentences_in,
    shortened,
    words_in,
)
from durable_agents.simulator.tool_arguments import cities_in

INTENTS = ["sales", "support", "general"]
GOOD_ENOUGH = 0.8  # the confidence from which a text counts as well founded


@dataclass(frozen=True)
class Field:
    """One place in a structured answer.

    `item` is the sentence or phrase that belongs to this element of a list; `siblings` are the
    schemas of the fields beside it.
    """

    name: str = ""
    description: str = ""
    siblings: tuple[tuple[str, JsonObject], ...] = ()
    item: str = ""
    depth: int = 0


def text_for(field: Field, reading: Reading) -> str | None:
    """Give the text of a field; None when the conversation does not hold what it names."""
    name = _snake(field.name)
    find = fact_finder(name)
    if find:
        return find(f"{field.item}\n{reading.everything}" if field.item else reading.everything)
    if re.search(r"source|citation", name):
        return next(
            (s for s in reading.sources if s in field.item), next(iter(reading.sources), None)
        )
    if field.item:
        short = re.search(r"title|name|topic|keyword|phrase|theme|label|heading|subject", name)
        return shortened(field.item.rstrip("."), 60) if short else as_sentence(field.item)
    for pattern, write in _WRITTEN:
        if re.search(pattern, name):
            return write(reading)
    about = f"{name.replace('_', ' ')} {field.description}"
    return " ".join(best_sentences(reading.text, 1, about)) or reading.answer


def number_for(field: Field, reading: Reading) -> float | None:
    """Give the number of a field, shares as 0 to 1; None when the text has none of this name."""
    name = _snake(field.name)
    if re.search(r"confiden|certain|probab|likel|relevan", name):
        return confidence_of(field, reading)
    if re.search(r"sentiment|polarity|valence|compound|tone", name):
        return reading.sentiment
    if re.search(r"score|rating|stars|grade|quality|completeness|coverage", name):
        feeling = any(
            "sentiment" in sibling or is_sentiment(_options_of(schema))
            for sibling, schema in field.siblings
        )
        return reading.sentiment if feeling else reading.foundation
    if re.search(r"word_?count|words|length", name):
        return float(len(words_in(reading.text)))
    if re.search(r"sentence", name):
        return float(len(sentences_in(reading.text)))
    return number_beside(name, field.item or reading.everything)


def is_share(name: str) -> bool:
    """Tell whether a number of this name is a share of 0 to 1, to be stretched over its range."""
    return (
        re.search(
            r"confiden|certain|probab|likel|relevan|score|rating|stars|grade|quality|complet|cover",
            name.lower(),
        )
        is not None
    )


def boolean_for(field: Field, reading: Reading) -> bool:
    """Decide a yes or no."""
    name = _snake(field.name)
    if re.search(r"escalat|human|urgent|handover|hand_off", name):
        return reading.urgency.escalate
    if re.search(r"^(needs|requires|should|must|more|refine|revise)|refine|revis", name):
        return reading.foundation < GOOD_ENOUGH
    if re.search(
        r"approv|sufficient|accept|passe?[sd]?\b|valid|\bok\b|ready|good_enough|founded", name
    ):
        return reading.foundation >= GOOD_ENOUGH
    if re.search(r"complete|done|finish|final|success|resolved|answered", name):
        return True
    if re.search(r"positive|satisfied|happy", name):
        return reading.sentiment >= 0.05
    if re.search(r"negative|angry|upset", name):
        return reading.sentiment <= -0.05
    words = set(key_words(name.replace("_", " ")))
    return bool(words & set(key_words(reading.people)))


def option_for(field: Field, options: list[str], reading: Reading) -> str:
    """Choose one of the options of an enum."""
    name = _snake(field.name)
    lowered = {option.lower(): option for option in options}
    if is_sentiment(options):
        return sentiment_option(options, reading.sentiment)
    if {"low", "high"} <= set(lowered):
        level = reading.urgency.priority
        if re.search(r"confiden|quality|certain", name):
            level = "high" if confidence_of(field, reading) >= GOOD_ENOUGH else "medium"
        return lowered.get(level) or lowered["low"]
    for yes, no in (
        ("yes", "no"),
        ("approve", "reject"),
        ("approved", "rejected"),
        ("accept", "revise"),
    ):
        if yes in lowered and no in lowered:
            return lowered[
                yes if boolean_for(field, reading) or _well_founded(yes, reading) else no
            ]
    if "en" in lowered and re.search(r"lang|locale", name):
        return lowered["en"]
    for ending in ("answer", "final", "finish", "done", "complete", "completed"):
        if ending in lowered and re.search(r"action|next|step|status|state|kind", name):
            return lowered[ending]
    return best_option(options, reading.people)[0]


def list_for(field: Field, count: int, reading: Reading) -> list[str]:
    """Give the texts of a list, each of which becomes one element."""
    name = _snake(field.name)
    if field.item:
        return [field.item]
    for pattern, write in _LISTS:
        if re.search(pattern, name):
            return write(reading, count)
    return reading.sentences(count)


def confidence_of(field: Field, reading: Reading) -> float:
    """Say how sure the fields beside this one are: of a class, of a feeling, or of a text."""
    for name, schema in field.siblings:
        options = _options_of(schema)
        if is_sentiment(options) or "sentiment" in name:
            return round(min(0.97, 0.55 + abs(reading.sentiment) * 0.42), 2)
        if len(options) > 1 and not {"low", "high"} <= {option.lower() for option in options}:
            return best_option(options, reading.people)[1]
        if re.search(r"^(intent|category|route|type|class|label)$", name):
            return best_option(options or INTENTS, reading.people)[1]
        if "escalat" in name:
            return 0.9 if reading.urgency.words else 0.7
    return reading.foundation


def siblings_of(schema: JsonObject) -> tuple[tuple[str, JsonObject], ...]:
    """List the fields of an object's schema, for the fields that depend on each other."""
    properties = object_in(schema.get("properties"))
    return tuple((name.lower(), object_in(value)) for name, value in properties.items())


def _options_of(schema: JsonObject) -> list[str]:
    return [option for option in list_in(schema.get("enum")) if isinstance(option, str)]


def _well_founded(yes: str, reading: Reading) -> bool:
    return yes != "yes" and reading.foundation >= GOOD_ENOUGH


def _snake(name: str) -> str:
    return re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name).replace("-", "_").lower()


def _reason(reading: Reading) -> str:
    if reading.urgency.words:
        return f"The message says: {', '.join(reading.urgency.words)}."
    said = " ".join(best_sentences(reading.people, 1, reading.question))
    return f"The text says: “{shortened(said, 200)}”" if said else "The text gives no reason."


def _feeling(reading: Reading) -> str:
    return sentiment_option(["positive", "negative", "neutral"], reading.sentiment)


def _summary(reading: Reading) -> str:
    return " ".join(as_sentence(sentence) for sentence in best_sentences(reading.text, 3))


def _risks(reading: Reading, count: int) -> list[str]:
    telling = r"risk|fail|error|problem|not |cannot|delay|loss|uncertain|danger|complain"
    return [s for s in sentences_in(reading.text) if re.search(telling, s, re.I)][:count]


_WRITTEN: tuple[tuple[str, Callable[[Reading], str]], ...] = (
    (r"lang|locale", lambda reading: "en"),
    (r"summary|abstract|tldr|overview|synopsis", _summary),
    (r"title|subject|headline|heading|^name$", lambda r: shortened(r.question.rstrip("."), 60)),
    (r"topic|keyword|phrase|theme", lambda r: next(iter(r.phrases(1)), "")),
    (r"sentiment|tone|mood|feeling", _feeling),
    (r"intent|category|route|^type$|^class$|label", lambda r: best_option(INTENTS, r.people)[0]),
    (r"priority|severity|urgency", lambda reading: reading.urgency.priority),
    (r"query|search", lambda r: shortened(r.question.rstrip(" ?."), 200)),
    (r"thought|reason|rational|explan|justif|why", _reason),
    (r"critique|feedback|review|comment|suggest|improve", lambda r: " ".join(r.weak_points)),
    (r"^action|^tool|next", lambda reading: "answer"),
    (r"status|state|phase", lambda reading: "complete"),
    (
        r"answer|reply|response|content|text|body|message|report|result|output|draft|advice"
        r"|recommend|findings|conclusion|description",
        lambda reading: reading.answer,
    ),
)
_LISTS: tuple[tuple[str, Callable[[Reading, int], list[str]]], ...] = (
    (r"topic|keyword|phrase|tag|theme|entit", lambda r, count: r.phrases(count)),
    (r"question|quer", lambda r, count: r.sub_questions(count)),
    (r"source|citation|url|link|reference", lambda r, count: r.sources[:count]),
    (
        r"issue|gap|weak|missing|suggest|improve|critique|comment|feedback",
        lambda r, count: r.weak_points[:count],
    ),
    (r"risk|warning|problem|concern|error", _risks),
    (r"cities|places|locations", lambda r, count: cities_in(r.everything)[:count]),
)
