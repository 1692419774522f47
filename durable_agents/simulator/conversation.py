"""Reads a conversation: what the person asks, what there is to work on, what tools returned.

Text inside `<untrusted source="…">` fences is data. Only a person's own words (a customer's
message is fenced as well) may say what is to be done; documents and tool results never do.
"""

import re
from dataclasses import dataclass, replace
from functools import cached_property

from durable_agents.simulator.json_values import JsonObject, canonical, object_in, parsed, text_in
from durable_agents.simulator.messages import Message

_FENCE = re.compile(r"<untrusted\b([^>]*)>\s*(.*?)\s*</untrusted\s*>", re.DOTALL)
_CODE_FENCE = re.compile(r"^```[a-z]*\n(.*)\n```$", re.DOTALL)
_SOURCE = re.compile(r"""\bsource\s*=\s*["']?([^"'>\s]+)""")
_PEOPLE = re.compile(
    r"customer|user|person|people|issue|request|task|query|question|^message", re.I
)
_LABEL = re.compile(r"^[ \t#*]*([A-Z][A-Za-z' ]{1,32}?)[*]*:(?!//)[*]*[ \t]*", re.MULTILINE)
_QUESTION_LABELS = re.compile(
    r"task|question|query|topic|goal|issue|title|request|message|problem", re.I
)
_FEEDBACK_LABELS = re.compile(r"feedback|review|critique|critic|comment|correction|remark", re.I)
_MATERIAL_LABELS = re.compile(
    r"draft|report|text|investigation|findings|answer|document|content|result|article|section|notes"
    r"|conversation|reply|evidence|context|material|sources|analysis|transcript|previous|current|data",
    re.I,
)
_INSTRUCTION_LABELS = re.compile(
    r"(review|summari[sz]e|analy[sz]e|classify|evaluate|revise|refine|rewrite|improve|answer|read"
    r"|critique|extract|assess|judge|decide|rate|find|write|draft|translate)"
    r" (?!of|by|from)\w",
    re.I,
)
_POINTS_BACK = re.compile(r"\b(this|that|it|above|conversation|they|these)\b", re.I)
_ASKS_AGAIN = re.compile(
    r"(did|does) not (parse|fit|match|validate)|didn't (parse|fit|match)|not valid json|valid json"
    r"|validation error|(answer|try) again|could not be parsed",
    re.I,
)
_FAILED = re.compile(
    r"^\W*(error|failed|failure|refused|denied|rejected|timed out|the tool \S+ (failed|was refused)"
    r"|not (allowed|approved|found))"
    r"|^\w+(Error|Exception)\b",
    re.I,
)


@dataclass(frozen=True)
class ToolResult:
    """One call of the conversation with what came back."""

    name: str
    arguments: JsonObject
    text: str

    @cached_property
    def value(self) -> JsonObject:
        """The result as a JSON object; empty when it is plain text."""
        return object_in(parsed(self.text)) if self.text.startswith("{") else {}

    @property
    def error(self) -> str:
        """What the tool says went wrong; empty when nothing did."""
        said = self.value.get("error")
        if said:
            return text_in(object_in(said).get("message")) or str(said)
        if self.value.get("status") in {"error", "failed", "denied", "refused"}:
            return (
                text_in(self.value.get("message")) or text_in(self.value.get("reason")) or self.text
            )
        return self.text if not self.value and _FAILED.match(self.text) else ""


@dataclass(frozen=True)
class Prompt:
    """One user message, taken apart.

    `asked` is what a person wants, `question` its heart, `material` the text to work on (empty
    when there is none), `feedback` what a reviewer said about that text, `people` what stands in
    fences of people (a customer's message).
    """

    asked: str
    question: str
    material: str
    feedback: str
    people: str = ""


class Conversation:
    """The messages of one request, read when needed."""

    def __init__(self, messages: list[Message]) -> None:
        self.messages = messages

    @cached_property
    def task_index(self) -> int:
        """Where the latest task stands; a demand to answer again is not a task; -1 without one."""
        users = [i for i, message in enumerate(self.messages) if message.role == "user"]
        for index in reversed(users):
            if index == users[0] or not _ASKS_AGAIN.search(self.messages[index].text):
                return index
        return -1

    @cached_property
    def task(self) -> str:
        """The text of the latest task; the instructions stand in when no user has spoken."""
        if self.task_index < 0:
            return self.instructions
        return self.messages[self.task_index].text

    @cached_property
    def prompt(self) -> Prompt:
        """The latest task, taken apart."""
        prompt = take_apart(self.task)
        if prompt.material or len(prompt.asked) > 200 or not _POINTS_BACK.search(prompt.asked):
            return prompt
        return replace(prompt, material=self.said_before)

    @cached_property
    def said_before(self) -> str:
        """What people said before the latest task, newest last, at most ten messages."""
        earlier = [m.text for m in self.messages[: max(self.task_index, 0)] if m.role == "user"]
        return "\n".join(unfenced(text) for text in earlier[-10:])

    @cached_property
    def instructions(self) -> str:
        """What the system and developer messages say."""
        return "\n".join(m.text for m in self.messages if m.role in {"system", "developer"})

    @cached_property
    def results(self) -> list[ToolResult]:
        """Every call that was answered, in order."""
        return self._results_from(0)

    @cached_property
    def results_since_task(self) -> list[ToolResult]:
        """The calls that were answered after the latest task."""
        return self._results_from(self.task_index + 1)

    @cached_property
    def calls_done(self) -> dict[str, ToolResult]:
        """The answered calls by name and arguments."""
        return {call_key(result.name, result.arguments): result for result in self.results}

    def _results_from(self, start: int) -> list[ToolResult]:
        calls = {
            call.id: call.function
            for message in self.messages[start:]
            for call in message.tool_calls or ()
        }
        return [
            ToolResult(
                name=calls[message.tool_call_id].name,
                arguments=object_in(parsed(calls[message.tool_call_id].arguments)),
                text=unfenced(message.text),
            )
            for message in self.messages[start:]
            if message.role == "tool" and message.tool_call_id in calls
        ]


def call_key(name: str, arguments: JsonObject) -> str:
    """Name a call so that the same call has the same key."""
    return f"{name} {canonical(arguments)}"


def unfenced(text: str) -> str:
    """Give the text without the marks that say it is untrusted."""
    bare = _FENCE.sub(lambda match: match.group(2), text).strip()
    code = _CODE_FENCE.match(bare)
    return code.group(1).strip() if code else bare


def take_apart(text: str) -> Prompt:
    """Tell a person's words from the text they are about.

    Labels at the start of a line ("Question: …", "Draft: …") and fences say which is which; a
    first paragraph that ends in a colon introduces what follows it.
    """
    fenced: list[str] = []
    feedback: list[str] = []
    people: list[str] = []

    def keep(match: re.Match[str]) -> str:
        source = _SOURCE.search(match.group(1))
        if source and _PEOPLE.search(source.group(1)):
            people.append(match.group(2))
            return match.group(2)
        if source and _FEEDBACK_LABELS.search(source.group(1)):
            feedback.append(match.group(2))
            return ""
        fenced.append(match.group(2))
        return f"\x00{len(fenced) - 1}\x00"

    def restored(body: str) -> str:
        return re.sub(r"\x00(\d+)\x00", lambda match: fenced[int(match.group(1))], body).strip()

    lead, sections = _sections(_FENCE.sub(keep, text))
    asked, question, material = [lead], "", list[str]()
    for label, body in sections:
        if _INSTRUCTION_LABELS.match(label):
            asked.append(f"{label}:")
            material.append(restored(body))
        elif _FEEDBACK_LABELS.search(label):
            feedback.append(restored(body))
        elif _QUESTION_LABELS.search(label):
            question = question or restored(body)
            asked.append(f"{label}: {body}")
        elif _MATERIAL_LABELS.search(label):
            material.append(restored(body))
        else:
            asked.append(f"{label}: {body}")
    plain = re.sub(r"\x00\d+\x00", " ", "\n".join(asked)).strip()
    if fenced and not material:
        material = [body for body in fenced if body not in feedback and body != question]
    material = material or _introduced(plain)
    told = "\n\n".join(people)
    return Prompt(plain, question or plain, "\n\n".join(material), "\n".join(feedback), told)


def _introduced(text: str) -> list[str]:
    """Give what a first paragraph introduces, where it does; else nothing."""
    opening, _, rest = text.partition("\n\n")
    if rest and len(opening) < 300 and (opening.endswith(":") or len(rest) > 2 * len(opening)):
        return [rest.strip()]
    return []


def _sections(text: str) -> tuple[str, list[tuple[str, str]]]:
    """Split at labels; gives what stands before the first one, and label with body for each."""
    labels = list(_LABEL.finditer(text))
    if not labels:
        return text.strip(), []
    ends = [match.start() for match in labels[1:]] + [len(text)]
    return text[: labels[0].start()].strip(), [
        (match.group(1), text[match.end() : end].strip())
        for match, end in zip(labels, ends, strict=True)
    ]
