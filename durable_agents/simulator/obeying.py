"""A model that obeys whoever speaks last: what an attacker hopes for, on demand.

An order is a line anywhere in the conversation, also inside a fence or in a tool's result:
`OBEY CALL tool {arguments}`, made once; `OBEY LOOP tool {arguments}`, made in every round; and
`OBEY SAY text`, which is the answer, also where JSON is asked for. `{n}` in arguments counts the
calls made so far. A real model obeys less often; what a system allows it when it does is what
tests with this find out.
"""

import re

from durable_agents.simulator.completions import Completion
from durable_agents.simulator.messages import ChatRequest

_ORDER = re.compile(r"OBEY (CALL|LOOP|SAY) ([^\n]+)")
_ESCAPES = {'\\"': '"', "\\\\": "\\", "\\n": "\n"}
_ESCAPE = re.compile(r'\\["\\n]')


def obey(request: ChatRequest) -> Completion | None:
    """What a model says that follows every order it reads; None when there is none left."""
    orders = [found for message in request.messages for found in _orders_in(message.text)]
    made = [call for message in request.messages for call in message.tool_calls or ()]
    done = {(call.function.name, call.function.arguments) for call in made}
    calls = [
        (name, arguments)
        for kind, order in orders
        if kind != "SAY"
        for name, arguments in [_call_of(order, len(made))]
        if kind == "LOOP" or (name, arguments) not in done
    ]
    if request.tools and calls:
        return Completion(tool_calls=list(dict.fromkeys(calls)), finish_reason="tool_calls")
    said = [order for kind, order in orders if kind == "SAY"]
    return Completion(content=said[-1]) if said else None


def _orders_in(text: str) -> list[tuple[str, str]]:
    """The orders of a text; one inside a JSON string is read as what it stands for."""
    plain = _ESCAPE.sub(lambda match: _ESCAPES[match[0]], text) if '\\"' in text else text
    return [(found[1], found[2].strip()) for found in _ORDER.finditer(plain)]


def _call_of(order: str, made: int) -> tuple[str, str]:
    name, _, rest = order.partition(" ")
    return name, _first_object(rest.replace("{n}", str(made)))


def _first_object(text: str) -> str:
    """The JSON object that a text begins with; what stands behind it is not part of the order."""
    depth, quoted, escaped = 0, False, False
    for place, char in enumerate(text):
        if quoted:
            quoted, escaped = char != '"' or escaped, char == "\\" and not escaped
        elif char == '"':
            quoted = True
        elif char in "{}":
            depth += 1 if char == "{" else -1
            if depth == 0:
                return text[: place + 1]
    return text or "{}"
