"""Composes an answer in words, from the conversation and from what tools returned."""

import re
from collections.abc import Callable

from durable_agents.simulator.clothing import advice_for, asks_what_to_wear, weather_in
from durable_agents.simulator.conversation import Conversation, Prompt, ToolResult
from durable_agents.simulator.judgements import (
    urgency_of,
)
from durable_agents.simulator.reporting import reported
from durable_agents.simulator.revising import review_points, revised
from durable_agents.simulator.sentences import (
    as_sentence,
    best_sentences,
    coverage,
    key_words,
    shortened,
    words_in,
)

_SUMMARISE = re.compile(
    r"\b(summar\w+|abstract|tl;?dr|in (?:short|brief)|condense|shorten)\b", re.I
)
_REVISE = re.compile(r"\b(revis\w*|refin\w*|improv\w*|rewrite|rework|incorporat\w*)\b", re.I)
_REVIEW = re.compile(
    r"\b(review|critique|critici[sz]e|critic|weakness\w*|gaps?|what is missing)\b", re.I
)
_ESCALATE = re.compile(r"\bescalat\w+\b", re.I)
_WRITE = re.compile(r"\b(draft|write|prepare|compose|produce|create|reply|answer)\b", re.I)
_LABEL = re.compile(r"^[A-Z][A-Za-z ]{1,32}:\s*")
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
    return revised(draft, feedback)


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
        parts.append("A colleague can make you an offer for that.")
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
    topic = shortened(prompt.question.rstrip(" ."), 160)
    if not (material or _described(prompt)):
        words = list(dict.fromkeys(word for word in words_in(topic) if key_words(word)))
        return f"A draft on “{topic}”, with these points to fill in: {', '.join(words[:8])}."
    chosen = best_sentences(material or _described(prompt), 5, prompt.question)
    return f"On “{topic}”: {' '.join(as_sentence(sentence) for sentence in chosen)}"


def _from_context(conversation: Conversation) -> str:
    known = _known(conversation)
    if known:
        return " ".join(known)
    question = shortened(conversation.prompt.question, 160)
    described = best_sentences(_described(conversation.prompt), 3, question)
    if described:
        return f"On “{question}”: {' '.join(as_sentence(sentence) for sentence in described)}"
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
    return [as_sentence(s) for s in found if coverage(prompt.question, s) >= 0.5]


def _described(prompt: Prompt) -> str:
    """What a labelled task says besides its heart."""
    lines = prompt.asked.splitlines() if prompt.question != prompt.asked else []
    besides = [line for line in lines if prompt.question not in line]
    return "\n".join(_LABEL.sub("", line) for line in besides).strip()


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
