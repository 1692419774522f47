"""Cuts text into sentences and words, and ranks sentences by what is asked."""

import re
from collections import Counter
from functools import lru_cache

from durable_agents.simulator.vocabularies import vocabulary

LONGEST_TEXT_READ = 60_000  # characters; keeps a request with a whole book at a few milliseconds

STOPWORDS = vocabulary("stopwords")

_WORD = re.compile(r"[^\W_]+(?:['\u2019-][^\W_]+)*")
_SENTENCE_END = re.compile(r"(?<=[.!?])[\"”')\]]*\s+(?=[^a-z\s])|\s*\n+\s*")
_BULLET = re.compile(r"^(?:[-*•>#]+|\d+[.)])\s+")


def sentences_in(text: str) -> list[str]:
    """Split `text` into sentences, without bullets, headings' marks and repetitions."""
    pieces = (_BULLET.sub("", piece.strip()) for piece in _SENTENCE_END.split(_readable(text)))
    return list(dict.fromkeys(piece for piece in pieces if _WORD.search(piece)))


def words_in(text: str) -> list[str]:
    """Give the words of `text` in small letters, in order."""
    return [word.lower().replace("\u2019", "'") for word in _WORD.findall(_readable(text))]


def key_words(text: str) -> list[str]:
    """Give the stems of the words that carry meaning, in order, with repetitions."""
    return [
        stem(word)
        for word in words_in(text)
        if word not in STOPWORDS and (len(word) > 1 or word.isdigit())
    ]


@lru_cache(maxsize=8192)
def stem(word: str) -> str:
    """Cut the commonest English endings, so that "refunds" meets "refund"."""
    for ending, replacement in (
        ("'s", ""),
        ("ies", "y"),
        ("sses", "ss"),
        ("ing", ""),
        ("ed", ""),
        ("es", "e"),
        ("s", ""),
    ):
        if word.endswith(ending) and len(word) - len(ending) >= 3 and not word.endswith("ss"):
            return word[: -len(ending)] + replacement
    return word


def best_sentences(text: str, count: int, about: str = "") -> list[str]:
    """Choose the `count` sentences that say most, in the order of the text.

    A sentence earns by the words it shares with `about`, by how frequent its words are in the
    text (after Luhn 1958, "The automatic creation of literature abstracts"), and by standing
    early, where reports put what matters.
    """
    found = sentences_in(text)
    if len(found) <= count:
        return found
    asked = set(key_words(about))
    stems = [key_words(sentence) for sentence in found]
    frequency = Counter(word for sentence in stems for word in sentence)
    scores = [
        _score(sentence, asked, frequency) + (0.5 / (1 + position))
        for position, sentence in enumerate(stems)
    ]
    chosen = sorted(range(len(found)), key=lambda position: (-scores[position], position))[:count]
    return [found[position] for position in sorted(chosen)]


def shared_words(one: str, other: str) -> set[str]:
    """Give the stems of meaning that both texts have."""
    return set(key_words(one)) & set(key_words(other))


def coverage(question: str, text: str) -> float:
    """Tell which share (0 to 1) of the question's words the text takes up."""
    asked = set(key_words(question))
    return len(asked & set(key_words(text))) / len(asked) if asked else 0.0


def shortened(text: str, longest: int) -> str:
    """Cut `text` at a word so that it has at most `longest` characters."""
    text = " ".join(text.split())
    if len(text) <= longest:
        return text
    if longest < 2:
        return text[:longest]
    return text[: longest - 1].rsplit(" ", 1)[0].rstrip(",;:") + "…"


def as_sentence(text: str) -> str:
    """Give `text` a capital letter and a full stop where they are missing."""
    text = text.strip()
    if not text:
        return ""
    text = text[0].upper() + text[1:]
    return text if text[-1] in '.!?…:"”' else text + "."


def _score(sentence: list[str], asked: set[str], frequency: Counter[str]) -> float:
    if not sentence:
        return 0.0
    weight = sum(frequency[word] for word in set(sentence)) / (len(sentence) + 4)
    return 2.0 * len(asked & set(sentence)) + weight


def _readable(text: str) -> str:
    return text[:LONGEST_TEXT_READ]
