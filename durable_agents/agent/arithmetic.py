"""Arithmetic as people write it, evaluated within bounds: "12.5 % of 2480", "2 ^ 10", "sqrt(2)".

Parsed by Python's own parser and walked by simpleeval, of which only numbers, operators and the
functions below are left. No expression of `MAX_CHARS` takes longer than a few milliseconds.
"""

import ast
import math
import operator
import re
from collections.abc import Callable
from typing import Any

from simpleeval import InvalidExpression, SimpleEval

from durable_agents.models.errors import ToolArgumentsError

MAX_CHARS = 500
MAX_POWER_BITS = 2048  # 9**9**9**9 would take all memory there is
MAX_DIGITS = 300  # of a result
MAX_PLACES = 100  # round(1, -10**9) would compute 10**10**9
QUOTED_CHARS = 80  # of an expression, in what is said about it
SIGNIFICANT_DIGITS = 12  # hides what binary fractions add: 0.1 + 0.2

Number = int | float

_SIGNS = str.maketrans({"×": "*", "·": "*", "÷": "/", "−": "-", "^": "**"})  # noqa: RUF001 - meant
_NUMBER = r"(\d+(?:\.\d+)?|\.\d+)"
_DECIMAL_COMMA = re.compile(r"(?<![\d.,])(\d+),(\d{1,2})(?=\s*%)")
_PERCENT_WORD = re.compile(r"\bper ?cent\b", re.IGNORECASE)
# "10 % 3" is a remainder: a percent sign is one only before "of" and where no operand follows.
_OF = r"\s*%\s*of\b"
_ALONE = r"\s*%(?=\s*(?:[-+*/),]|$))"
_PERCENTAGES = (
    (re.compile(_NUMBER + _OF, re.IGNORECASE), r"(\1/100)*"),
    (re.compile(r"\)" + _OF, re.IGNORECASE), r")/100*"),
    (re.compile(_NUMBER + _ALONE), r"(\1/100)"),
    (re.compile(r"\)" + _ALONE), r")/100"),
)
_PERCENT_ADDED = re.compile(rf"[\d)]\s*[-+]\s*{_NUMBER}{_ALONE}")
_THOUSANDS = re.compile(r"\d,\d{3}(?!\d)")


def evaluate(expression: str) -> Number:
    """Work out an expression; a whole number comes as `int`.

    Raises:
        ToolArgumentsError: It is not arithmetic, or its result is not a number of a usable size.
    """
    if len(expression) > MAX_CHARS:
        raise ToolArgumentsError(f"The expression is longer than {MAX_CHARS} characters.")
    quoted = repr(expression[:QUOTED_CHARS])
    try:
        tree = ast.parse(_as_python(expression), mode="eval")
        return _rounded(_evaluator().eval(expression, previously_parsed=tree.body))
    except ZeroDivisionError as error:
        raise ToolArgumentsError(f"{quoted} divides by zero.") from error
    except (OverflowError, _TooLargeError) as error:
        raise ToolArgumentsError(f"The result of {quoted} is too large.") from error
    except (RecursionError, MemoryError) as error:  # the parser's own bounds
        raise ToolArgumentsError("The expression is nested too deeply.") from error
    except SyntaxError as error:
        raise ToolArgumentsError(f"{quoted} cannot be read as arithmetic.") from error
    except ValueError as error:
        raise ToolArgumentsError(f"{quoted} has no result: {error}.") from error
    except (InvalidExpression, TypeError) as error:
        raise ToolArgumentsError(
            f"{quoted} is not arithmetic that can be worked out: use numbers, + - * / // % ** "
            f"and parentheses, and {', '.join((*_FUNCTIONS, *_NAMES))}."
        ) from error


def _as_python(expression: str) -> str:
    text = _PERCENT_WORD.sub("%", " ".join(expression.translate(_SIGNS).split()))
    text = _DECIMAL_COMMA.sub(r"\1.\2", text)
    if "(" not in text and _THOUSANDS.search(text):
        raise ToolArgumentsError("Write numbers without thousands separators.")
    if _PERCENT_ADDED.search(text):  # 100.1 by the letter, 110 for most people
        raise ToolArgumentsError(
            "A percentage that is added or taken off can be read in two ways: "
            "write '100 + 10 % of 100' or '100 * 1.10' in place of '100 + 10 %'."
        )
    for pattern, replacement in _PERCENTAGES:
        text = pattern.sub(replacement, text)
    return text


def _rounded(value: object) -> Number:
    if not isinstance(value, (int, float)):
        raise ValueError("it is not a real number")
    if isinstance(value, float):
        if not math.isfinite(value):
            raise _TooLargeError
        value = float(f"{value:.{SIGNIFICANT_DIGITS}g}")
        return int(value) if value.is_integer() and abs(value) < 1e15 else value
    if abs(value) >= 10**MAX_DIGITS:
        raise _TooLargeError
    return value


class _TooLargeError(Exception):
    """A step would take more memory or time than arithmetic is worth."""


def _power(base: Number, exponent: Number) -> Number | complex:
    bits = abs(exponent) * base.bit_length() if isinstance(base, int) and abs(base) > 1 else 0
    if isinstance(exponent, int) and bits > MAX_POWER_BITS:
        raise _TooLargeError
    return base**exponent


def _round(number: Number, ndigits: int | None = None) -> Number:
    if ndigits is not None and abs(ndigits) > MAX_PLACES:
        raise _TooLargeError
    return round(number, ndigits)


def _constant(node: ast.Constant) -> Number:
    if isinstance(node.value, (int, float)) and not isinstance(node.value, bool):
        return node.value
    raise InvalidExpression


def _divide(dividend: Number, divisor: Number) -> Number:
    return dividend / divisor


def _divide_floor(dividend: Number, divisor: Number) -> Number:
    return dividend // divisor


_OPERATORS: dict[type[ast.AST], Callable[..., object]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: _divide,
    ast.FloorDiv: _divide_floor,
    ast.Mod: operator.mod,
    ast.Pow: _power,
    ast.USub: operator.neg,
    ast.UAdd: operator.pos,
}
_FUNCTIONS: dict[str, Callable[..., object]] = {
    "sqrt": math.sqrt,
    "abs": abs,
    "round": _round,
    "min": min,
    "max": max,
    "floor": math.floor,
    "ceil": math.ceil,
    "exp": math.exp,
    "log": math.log,
    "log2": math.log2,
    "log10": math.log10,
    "sin": math.sin,
    "cos": math.cos,
    "tan": math.tan,
    "asin": math.asin,
    "acos": math.acos,
    "atan": math.atan,
    "degrees": math.degrees,
    "radians": math.radians,
}
_NAMES = {"pi": math.pi, "e": math.e}
_KEPT = (ast.BinOp, ast.UnaryOp, ast.Call, ast.keyword, ast.Name)


def _evaluator() -> Any:  # simpleeval has no types
    """Numbers, operators and functions: no texts, attributes, comparisons or conditions."""
    evaluator: Any = SimpleEval(operators=_OPERATORS, functions=_FUNCTIONS, names=_NAMES)
    nodes = {kind: evaluator.nodes[kind] for kind in _KEPT}
    evaluator.nodes = {**nodes, ast.Constant: _constant}
    return evaluator
