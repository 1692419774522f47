"""Reviews a text and revises it: the critic's and the reviser's part, both judged from the text."""

import re

from durable_agents.simulator.judgements import has_evidence, revisions_of, without_revisions
from durable_agents.simulator.sentences import (
    as_sentence,
    key_words,
    sentences_in,
    shortened,
    words_in,
)

MOST_REVISIONS = 10  # paragraphs that say what was revised; then they start again
LONGEST_DRAFT = 6000  # characters of a text in hand that a revision keeps
_DEMAND = re.compile(r"(?:please )?(?:revise|refine|improve|rewrite|rework)\b", re.I)


def review_points(text: str, question: str) -> list[str]:
    """List what a text lacks, judged from the text: question words, evidence, length."""
    points: list[str] = []
    bare = without_revisions(text)
    taken_up = set(key_words(bare))
    missing = [word for word in dict.fromkeys(words_in(question)) if key_words(word)]
    missing = [word for word in missing if not set(key_words(word)) & taken_up]
    if missing:
        points.append(f"Take up what was asked about {', '.join(missing[:4])}.")
    if not has_evidence(bare):
        points.append("Name the source or the figure behind each claim.")
    if len(sentences_in(bare)) < 5:
        points.append("Say more: the text has few sentences to stand on.")
    if len(points) < 3:
        points.append("Say which findings are certain and which are not.")
    points = [point for point in points if point not in text]
    return points or ["The text answers the question; check the names and figures once more."]


def revised(text: str, feedback: str) -> str:
    """Add a revision to a text that takes up the feedback, below those it had before."""
    points = [s for s in sentences_in(feedback) if not _DEMAND.match(s)][:4]
    taken_up = shortened(" ".join(as_sentence(point) for point in points), 500)
    number = revisions_of(text) + 1
    base = text if number < MOST_REVISIONS else without_revisions(text)
    if len(base) > LONGEST_DRAFT:
        half = LONGEST_DRAFT // 2
        base = f"{base[:half]} […] {base[-half:]}"
    return f"{base.strip()}\n\nRevision {number}, taking up: {taken_up or 'the text as a whole.'}"
