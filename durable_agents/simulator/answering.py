"""Composes an answer in words, from the conversation and from what tools returned."""

import re
from collections.abc import Callable

from durable_agents.simulator.clothing import advice_for, asks_what_to_wear, weather_in
from durable_agents.simulator.conversation import Conversation, ToolResult
from durable_agents.simulator.judgements import (
    has_evidence,
    revisions_of,
    urgency_of,
)
from durable_agents.simulator.reporting import reported
from durable_agents.simulator.sentences import (
    as_sentence,
    best_sentences,
    coverage,
    key_words,
    sentences_in,
    shared_words,
    shortened,
    words_in,
)

LONGEST_DRAFT = 6000  # characters of a text in hand that a revision keeps

_SUMMARISE = re.compile(
    r"\b(summar\w+|abstract|tl;?dr|in (?:short|brief)|condense|shorten)\b", re.I
)
_REVISE = re.compile(r"\b(revis\w*|refin\w*|improv\w*|rewrite|rework|incorporat\w*)\b", re.I)
_REVIEW = re.compile(
    r"\b(review|critique|critici[sz]e|critic|weakness\w*|gaps?|what is missing)\b", re.I
)
_ESCALATE = re.compile(r"\bescalat\w+\b", re.I)
_WRITE = re.compile(r"\b(draft|write|prepare|compose|produce|create|reply|answer)\b", re.I)
_THANKS = re.compile(
    r"^\W*(hi|hello|hey|good (?:morning|day|evening)|thanks|thank you)\b[^?]{0,30}$", re.I
)
_SUPPORT_ROLE = re.compile(r"\b(customers?|support|help ?desk)\b", re.I)
_SALES_ROLE = re.compile(r"\bsales\b|\bsell\b", re.I)
_RESEARCH_ROLE = re.compile(r"\bresearch\w*|investigat\w*|report\b", re.I)


def answer_to(conversation: Conversation, results: list[ToolResult]) -> str:
    """Answer the latest task.

    With results it reports them; without, the first manner that fits the task says it, and the
    last manner always does.
    """
    if results:
        return _from_results(conversation, results)
    for manner in _MANNERS:
        answer = manner(conversation)
        if answer:
            return answer
    return _from_context(conversation)


def review_points(text: str, question: str) -> list[str]:
    """List what a text lacks, judged from the text: question words, evidence, length."""
    points: list[str] = []
    taken_up = set(key_words(text))
    missing = [word for word in dict.fromkeys(words_in(question)) if key_words(word)]
    missing = [word for word in missing if not set(key_words(word)) & taken_up]
    if missing:
        points.append(f"Take up what was asked about {', '.join(missing[:4])}.")
    if not has_evidence(text):
        points.append("Name the source or the figure behind each claim.")
    if len(sentences_in(text)) < 5:
        points.append("Say more: the text has few sentences to stand on.")
    if not revisions_of(text):
        points.append("Say which findings are certain and which are not.")
    return points or ["The text answers the question; check the names and figures once more."]


def revised(text: str, feedback: str, question: str, context: str = "") -> str:
    """Add a revision to a text that takes up the feedback, word for word where it can."""
    number = revisions_of(text) + 1
    points = " ".join(as_sentence(p) for p in sentences_in(feedback)[:4]) or "General revision."
    added = [s for s in best_sentences(context, 2, f"{question} {feedback}") if s not in text]
    certain = best_sentences(text, 1, question)
    parts = [f"Revision {number}, taking up the review: {shortened(points, 500)}", *added]
    if certain and certain[0] not in parts[0]:
        parts.append(
            f"What the text at hand supports best: {as_sentence(shortened(certain[0], 300))}"
        )
    return f"{shortened_draft(text)}\n\n{' '.join(parts)}".strip()


def shortened_draft(text: str) -> str:
    """Keep the beginning and the end of a long draft."""
    if len(text) <= LONGEST_DRAFT:
        return text
    half = LONGEST_DRAFT // 2
    return f"{text[:half]} […] {text[-half:]}"


def _from_results(conversation: Conversation, results: list[ToolResult]) -> str:
    prompt = conversation.prompt
    parts = [reported(result, prompt.question) for result in results[-12:]]
    parts = list(dict.fromkeys(parts))
    if asks_what_to_wear(prompt.asked):
        weather = [weather_in(result.text) for result in results if not result.error]
        parts += [advice_for(found) for found in weather if found][:1]
    text = "\n".join(parts) if len("".join(parts)) > 300 else " ".join(parts)
    opening = _opening(conversation)
    return f"{opening}\n{text}" if opening else text


def _clothes(conversation: Conversation) -> str:
    text = f"{conversation.task}\n{conversation.prompt.material}"
    weather = weather_in(text) if asks_what_to_wear(f"{text} {conversation.instructions}") else None
    return advice_for(weather) if weather else ""


def _escalation(conversation: Conversation) -> str:
    prompt = conversation.prompt
    if not _ESCALATE.search(prompt.asked) or not (prompt.material or "?" in prompt.asked):
        return ""
    urgency = urgency_of(prompt.material or prompt.asked)
    because = f" The message says: {', '.join(urgency.words)}." if urgency.words else ""
    return f"{'Yes' if urgency.escalate else 'No'}, priority {urgency.priority}.{because}"


def _revision(conversation: Conversation) -> str:
    prompt = conversation.prompt
    draft = prompt.material or _last_answer(conversation)
    if not draft or not (prompt.feedback or _REVISE.search(prompt.asked)):
        return ""
    feedback = prompt.feedback or _beside(prompt.asked, draft)
    return revised(draft, feedback, prompt.question)


def _review(conversation: Conversation) -> str:
    prompt = conversation.prompt
    asked = f"{prompt.asked} {conversation.instructions}"
    draft = prompt.material or _last_answer(conversation)
    if not draft or not _REVIEW.search(asked):
        return ""
    return "\n".join(f"- {point}" for point in review_points(draft, prompt.question))


def _summary(conversation: Conversation) -> str:
    prompt = conversation.prompt
    material = prompt.material or prompt.asked
    if not _SUMMARISE.search(f"{prompt.asked[:500]} {conversation.instructions}"):
        return ""
    return " ".join(as_sentence(sentence) for sentence in best_sentences(material, 3))


def _greeting(conversation: Conversation) -> str:
    if not _THANKS.match(conversation.prompt.asked):
        return ""
    return "Hello! What can I do for you?"


def _correspondence(conversation: Conversation) -> str:
    """Reply to a customer: take up what was said, and promise nothing."""
    opening = _opening(conversation)
    if not opening:
        return ""
    prompt = conversation.prompt
    issue = best_sentences(prompt.question or prompt.asked, 2) or [prompt.asked]
    known = _known(conversation)
    parts = [opening, f"You wrote: “{shortened(' '.join(issue), 300)}”"]
    if known:
        parts.append(f"What we can say: {' '.join(known)}")
    if _SALES_ROLE.search(conversation.instructions):
        parts.append("Please tell us how many people will use it, and we will send you an offer.")
    elif urgency_of(prompt.asked).escalate:
        parts.append("This is urgent, so a colleague should look at it first.")
    else:
        parts.append("Please tell us what you tried and when it happened, so that we can go on.")
    return " ".join(parts)


def _draft(conversation: Conversation) -> str:
    prompt = conversation.prompt
    material = prompt.material or conversation.said_before
    if not (_WRITE.search(prompt.asked) or _RESEARCH_ROLE.search(conversation.instructions)):
        return ""
    chosen = best_sentences(material or prompt.asked, 5, prompt.question)
    text = " ".join(as_sentence(sentence) for sentence in chosen)
    return f"On “{shortened(prompt.question, 120)}”: {text}" if text else ""


def _from_context(conversation: Conversation) -> str:
    known = _known(conversation)
    if known:
        return " ".join(known)
    question = shortened(conversation.prompt.question, 160)
    if not question:
        return "There is no task in this conversation."
    return (
        f"Nothing in this conversation answers “{question}”. "
        "I am the simulator: I only repeat what I am given."
    )


def _known(conversation: Conversation) -> list[str]:
    """Find sentences on the question in the material, and in what was said before."""
    prompt = conversation.prompt
    if prompt.material:
        return [as_sentence(s) for s in best_sentences(prompt.material, 3, prompt.question)]
    texts = [m.text for m in conversation.messages[: max(conversation.task_index, 0)][-20:]]
    earlier = "\n".join([*texts, *(result.text for result in conversation.results[-5:])])
    found = best_sentences(earlier, 2, prompt.question)
    return [as_sentence(s) for s in found if len(shared_words(s, prompt.question)) >= 2]


def _opening(conversation: Conversation) -> str:
    """Address a customer where the instructions say that one is there."""
    if (
        _SALES_ROLE.search(conversation.instructions)
        and "support" not in conversation.instructions.lower()
    ):
        return "Thank you for your interest."
    if not _SUPPORT_ROLE.search(conversation.instructions):
        return ""
    urgency = urgency_of(conversation.prompt.asked)
    if urgency.priority == "low":
        return "Thank you for your message."
    return "Thank you for your message, and we are sorry for the trouble."


def _last_answer(conversation: Conversation) -> str:
    for message in reversed(conversation.messages[: max(conversation.task_index, 0)]):
        if message.role == "assistant" and message.text:
            return message.text
    return ""


def _beside(asked: str, draft: str) -> str:
    """What a request says besides the draft that it repeats."""
    rest = asked.replace(draft, " ")
    return rest if coverage(rest, draft) < 1 else ""


_MANNERS: tuple[Callable[[Conversation], str], ...] = (
    _clothes,
    _escalation,
    _greeting,
    _revision,
    _review,
    _summary,
    _correspondence,
    _draft,
)
