"""Judges text by vocabulary: intent, urgency, escalation, how well a text is founded."""

import re
from collections.abc import Iterable
from dataclasses import dataclass

from durable_agents.simulator.sentences import coverage, key_words, sentences_in, stem
from durable_agents.simulator.vocabularies import vocabulary

_HIGH = re.compile(
    r"\b(urgent(?:ly)?|asap|immediately|emergency|on fire|fire|smoke|burn\w*|outage|production|"
    r"(?:is|are|system|site|service) down|lawyer|legal action|sue|security|breach|hacked|fraud\w*|"
    r"data loss|lost (?:all )?(?:my|our) data|danger\w*|unsafe|injur\w+|critical|"
    r"all (?:our )?(?:users|customers)|"
    r"cannot work|can't work|stolen)\b",
    re.I,
)
_MEDIUM = re.compile(
    r"\b(angry|furious|refund\w*|twice|again|still|third time|unacceptable|complain\w*|broken|"
    r"not work\w*|doesn't work|does not work|damaged|crash\w*|fails?|failed|failing|errors?|stuck|"
    r"waiting|weeks?|overdue|late|charged|disappoint\w*|terrible|worst|awful|locked|missing|wrong)\b",
    re.I,
)
_ASKS_FOR_PERSON = re.compile(
    r"\b(escalate (?:this|it|my|to)|(?:a|your|the) (?:manager|supervisor)|human|real person|"
    r"(?:file|open|raise|create|submit|log) (?:a|me a|the)?\s*(?:support )?ticket)\b",
    re.I,
)
_DENIED = re.compile(
    r"\b(?:not|no|never|isn't|nothing)\s+(?:\w+\s+)?(urgent|rush|hurry|broken|critical|wrong"
    r"|an? emergency|dangerous|angry)\b",
    re.I,
)
_POSITIVE_OPTIONS = {"positive", "pos", "good", "happy", "favourable", "favorable"}
_NEGATIVE_OPTIONS = {"negative", "neg", "bad", "unhappy", "unfavourable", "unfavorable"}
_QUIET_OPTIONS = ("general", "neutral", "medium", "other", "unknown", "none", "normal", "unclear")
_EVIDENCE = re.compile(
    r"https?://|\bsources?\b|according to|\[\d+\]|\.md\b|\d+(?:\.\d+)?\s*%|“|\"", re.I
)
_REVISION = re.compile(r"^Revision (\d+), taking up:.*$", re.MULTILINE)


@dataclass(frozen=True)
class Urgency:
    """How pressing a message is: whether a person must see it, how soon, and which words say so."""

    escalate: bool
    priority: str
    words: tuple[str, ...]


def urgency_of(text: str) -> Urgency:
    """Judge whether a message needs a person, and with which priority."""
    text = _DENIED.sub(" ", text)
    high = _distinct(match.group(0) for match in _HIGH.finditer(text))
    medium = _distinct(match.group(0) for match in _MEDIUM.finditer(text))
    asks = _distinct(match.group(0) for match in _ASKS_FOR_PERSON.finditer(text))
    priority = "high" if high else "medium" if medium or asks else "low"
    return Urgency(bool(high or asks or len(medium) > 1), priority, (*high, *asks, *medium)[:6])


def best_option(options: list[str], text: str) -> tuple[str, float]:
    """Choose the option whose vocabulary the text uses most, with a confidence from 0 to 1."""
    words = set(key_words(text))
    hits = {option: _hits(option, words) for option in options}
    total = sum(hits.values())
    if not total:
        return _quiet(options), 0.5
    # A tie goes to the option that stands first, with the low confidence that a tie deserves.
    best = max(options, key=lambda option: hits[option])
    share = hits[best] / total
    return best, round(min(0.97, 0.35 + 0.45 * share + 0.05 * hits[best]), 2)


def is_sentiment(options: Iterable[str]) -> bool:
    """Tell whether the options are the ends of a scale of feeling."""
    lowered = {option.lower() for option in options}
    return bool(lowered & _POSITIVE_OPTIONS and lowered & _NEGATIVE_OPTIONS)


def sentiment_option(options: list[str], score: float) -> str:
    """Choose among options such as positive, neutral and negative by a score from -1 to 1."""
    wanted = (
        _POSITIVE_OPTIONS if score >= 0.05 else _NEGATIVE_OPTIONS if score <= -0.05 else set[str]()
    )
    for option in options:
        if option.lower() in wanted:
            return option
    return _quiet(options)


def foundation_of(text: str, question: str) -> float:
    """Rate from 0 to 0.97 how well a text answers a question, judged from the text alone.

    Taking up the question's words, length and evidence count, and each round of revision that
    the text went through: a first draft stays under 0.8, a revised one rises over it.
    """
    revisions = revisions_of(text)
    text = without_revisions(text)
    length = min(len(sentences_in(text)), 8) / 8
    first = 0.4 + 0.16 * coverage(question, text) + 0.12 * length
    if _EVIDENCE.search(text):
        first += 0.08
    return round(min(0.97, first + 0.12 * revisions), 2)


def revisions_of(text: str) -> int:
    """Tell how many revisions a text says it went through."""
    return max((int(number) for number in _REVISION.findall(text)), default=0)


def without_revisions(text: str) -> str:
    """Give a text without the paragraphs that say how it was revised."""
    return _REVISION.sub("", text).strip()


def has_evidence(text: str) -> bool:
    """Tell whether a text names sources, quotes or figures."""
    return _EVIDENCE.search(text) is not None


def _hits(option: str, words: set[str]) -> int:
    own = {stem(part) for part in re.findall(r"[a-z]+", option.lower())}
    return len(words & {stem(word) for word in vocabulary(option.lower())}) + 2 * len(words & own)


def _quiet(options: list[str]) -> str:
    lowered = {option.lower(): option for option in options}
    return next((lowered[quiet] for quiet in _QUIET_OPTIONS if quiet in lowered), options[0])


def _distinct(found: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(word.lower() for word in found))
