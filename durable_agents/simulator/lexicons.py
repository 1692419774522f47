"""The two word lists of others: VADER for sentiment and YAKE for key phrases.

Both are loaded when first asked for, so that the simulator starts in a moment and plans tool
calls without them. Neither package has types; this is the one place that knows.
"""

from functools import lru_cache
from typing import Protocol, cast

from durable_agents.simulator.sentences import key_words, sentences_in, words_in

LONGEST_TEXT_FOR_PHRASES = 12_000  # characters; about 50 ms of YAKE


class _SentimentLexicon(Protocol):
    def polarity_scores(self, text: str) -> dict[str, float]: ...


class _PhraseExtractor(Protocol):
    def extract_keywords(self, text: str) -> list[tuple[str, float]]: ...


def sentiment_of(text: str) -> float:
    """Rate how the text feels, from -1 (bad) over 0 to 1 (good).

    VADER (Hutto & Gilbert 2014) is made for single sentences and saturates on long text: taken
    is the mean over the sentences that feel at all.
    """
    lexicon = _sentiment_lexicon()
    pieces = sentences_in(text[:20_000]) or [text]
    scores = [lexicon.polarity_scores(piece)["compound"] for piece in pieces]
    telling = [score for score in scores if score] or [0.0]
    return round(sum(telling) / len(telling), 4)


def key_phrases(text: str, count: int) -> list[str]:
    """Give up to `count` phrases that say what the text is about, best first."""
    found = _phrase_extractor().extract_keywords(text[:LONGEST_TEXT_FOR_PHRASES])
    ranked = sorted(found, key=lambda pair: (round(float(pair[1]), 9), pair[0]))
    chosen: list[str] = []
    for phrase, _ in ranked:
        stems = set(key_words(phrase))
        if stems and not any(stems & set(key_words(earlier)) for earlier in chosen):
            chosen.append(phrase.lower())
        if len(chosen) == count:
            return chosen
    return chosen or list(dict.fromkeys(words_in(text)))[:count]


@lru_cache(maxsize=1)
def _sentiment_lexicon() -> _SentimentLexicon:
    from vaderSentiment.vaderSentiment import (  # pyright: ignore[reportMissingTypeStubs]  # ships no types
        SentimentIntensityAnalyzer,
    )

    return cast(_SentimentLexicon, SentimentIntensityAnalyzer())


@lru_cache(maxsize=1)
def _phrase_extractor() -> _PhraseExtractor:
    import yake  # pyright: ignore[reportMissingTypeStubs]  # ships no types

    return cast(_PhraseExtractor, yake.KeywordExtractor(lan="en", n=2, top=40))
