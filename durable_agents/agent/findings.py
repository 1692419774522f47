"""Put together what was noted of the sections of a document."""

from collections import Counter
from collections.abc import Iterable, Sequence

from durable_agents.models.analyze_document import Label

TELLING = 0.05  # from which a mean score is a feeling: VADER's convention (Hutto & Gilbert 2014)
MOST_TOPICS = 10
TOPIC_CHARS = 80
TOPICS_OF_A_SECTION = 5


def mean_score(scored: Sequence[tuple[float, int]]) -> float:
    """The mean of scores, each weighted by the characters it stands for."""
    weight = sum(chars for _, chars in scored)
    return round(sum(score * chars for score, chars in scored) / weight, 4) if weight else 0.0


def label_of(score: float) -> Label:
    """Name a mean score."""
    return "positive" if score >= TELLING else "negative" if score <= -TELLING else "neutral"


def ranked_topics(lists: Iterable[Sequence[str]]) -> tuple[str, ...]:
    """Merge lists of topics: what stands in many lists and early in them comes first.

    A topic earns 1, 1/2, 1/3, … by its place (reciprocal ranks); upper and lower case are one.
    """
    earned, spelled = Counter[str](), dict[str, str]()
    for topics in lists:
        for place, topic in enumerate(topics[:TOPICS_OF_A_SECTION]):
            said = " ".join(topic.split())[:TOPIC_CHARS]
            if said:
                spelled.setdefault(said.casefold(), said)
                earned[said.casefold()] += 1 / (place + 1)  # pyright: ignore[reportArgumentType] - counts may be fractions
    best = sorted(earned, key=lambda topic: -earned[topic])[:MOST_TOPICS]
    return tuple(spelled[topic] for topic in best)
