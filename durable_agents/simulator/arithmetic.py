"""Finds the arithmetic in a sentence and writes it as expressions, without working them out."""

import re
from collections.abc import Callable

_NUMBER = r"\d+(?:\.\d+)?"
_WORD_NUMBERS = {
    "zero": "0", "one": "1", "two": "2", "three": "3", "four": "4", "five": "5", "six": "6",
    "seven": "7", "eight": "8", "nine": "9", "ten": "10", "eleven": "11", "twelve": "12",
}  # fmt: skip
_NUMBER_WORD = rf"\b({'|'.join(_WORD_NUMBERS)})\b"
_SPELLED_OUT = re.compile(
    rf"{_NUMBER_WORD}(?=\s*(?:plus|minus|times|divided|squared|$|[?.,]))"
    rf"|(?<=plus ){_NUMBER_WORD}|(?<=minus ){_NUMBER_WORD}|(?<=times ){_NUMBER_WORD}"
    rf"|(?<=divided by ){_NUMBER_WORD}",
    re.IGNORECASE,
)
_LIST = rf"({_NUMBER}(?:\s*(?:,|and|,\s*and)\s*{_NUMBER})+)"


def _joined(sign: str) -> Callable[[re.Match[str]], str]:
    return lambda match: sign.join(re.findall(_NUMBER, match.group(1)))


def _mean(match: re.Match[str]) -> str:
    numbers: list[str] = re.findall(_NUMBER, match.group(1))
    return f"({' + '.join(numbers)}) / {len(numbers)}"


# In this order: what is about a whole phrase comes before the single operators.
_PHRASES: tuple[tuple[re.Pattern[str], str | Callable[[re.Match[str]], str]], ...] = tuple(
    (re.compile(pattern, re.IGNORECASE), written)
    for pattern, written in (
        (r"(?<=\d),(?=\d{3}(?!\d))", ""),
        (rf"({_NUMBER})\s*(?:%|per ?cent)\s+off\s+(?:of\s+)?({_NUMBER})", r"\2 - \1 / 100 * \2"),
        (rf"({_NUMBER})\s*(?:%|per ?cent)\s+of\s+({_NUMBER})", r"\1 / 100 * \2"),
        (
            rf"(?:increase|raise)d?\s+({_NUMBER})\s+by\s+({_NUMBER})\s*(?:%|per ?cent)",
            r"\1 + \2 / 100 * \1",
        ),
        (
            rf"(?:decrease|reduce)d?\s+({_NUMBER})\s+by\s+({_NUMBER})\s*(?:%|per ?cent)",
            r"\1 - \2 / 100 * \1",
        ),
        (
            rf"({_NUMBER})\s*(?:plus|\+)\s*({_NUMBER})\s*(?:%|per ?cent)(?!\s*\d)",
            r"\1 + \2 / 100 * \1",
        ),
        (
            rf"({_NUMBER})\s*(?:minus|-)\s*({_NUMBER})\s*(?:%|per ?cent)(?!\s*\d)",
            r"\1 - \2 / 100 * \1",
        ),
        (rf"square root of\s+({_NUMBER})", r"\1 ** 0.5"),
        (rf"sqrt\(\s*({_NUMBER})\s*\)", r"\1 ** 0.5"),
        (rf"({_NUMBER})\s+squared", r"\1 ** 2"),
        (rf"({_NUMBER})\s+cubed", r"\1 ** 3"),
        (rf"(?:sum|total) of\s+{_LIST}", _joined(" + ")),
        (rf"product of\s+{_LIST}", _joined(" * ")),
        (rf"(?:average|mean) of\s+{_LIST}", _mean),
        (rf"difference (?:between|of)\s+({_NUMBER})\s+and\s+({_NUMBER})", r"\1 - \2"),
        (rf"add\s+({_NUMBER})\s+(?:and|to)\s+({_NUMBER})", r"\1 + \2"),
        (rf"subtract\s+({_NUMBER})\s+from\s+({_NUMBER})", r"\2 - \1"),
        (rf"multiply\s+({_NUMBER})\s+(?:by|and|with)\s+({_NUMBER})", r"\1 * \2"),
        (rf"divide\s+({_NUMBER})\s+by\s+({_NUMBER})", r"\1 / \2"),
        (r"(?<=[\d)])\s*(?:multiplied by|times|[\u00d7\u00b7]|x(?=\s*\d))\s*(?=[\d(])", " * "),
        (r"(?<=[\d)])\s*(?:divided by|\u00f7)\s*(?=[\d(])", " / "),
        (r"(?<=[\d)])\s*plus\s*(?=[\d(])", " + "),
        (r"(?<=[\d)])\s*(?:minus|\u2212)\s*(?=[\d(])", " - "),
        (r"(?<=[\d)])\s*(?:to the power of|\^)\s*(?=[\d(])", " ** "),
        (r"(?<=[\d)])\s*(?:modulo|mod)\s*(?=[\d(])", " % "),
    )
)
_EXPRESSION = re.compile(
    rf"(?<![\w.#-])(?:\(\s*)*-?{_NUMBER}(?:\s*\))*"
    rf"(?:\s*(?:\*\*|//|[-+*/%])\s*(?:\(\s*)*-?{_NUMBER}(?:\s*\))*)+(?![\w-])"
)
_URL = re.compile(r"https?://\S+")
_DATE = re.compile(r"\b\d{4}-\d{1,2}-\d{1,2}\b|\b\d{1,2}[./]\d{1,2}[./]\d{2,4}\b")
_ASKS = re.compile(
    r"\b(calculat|comput|evaluat|what(?:'s| is)|how much|solve|work out|result of)|[=?]", re.I
)


def expressions_in(text: str) -> list[str]:
    """Give each expression in `text`, for instance "12.5 / 100 * 2480" for "12.5 % of 2480"."""
    if not re.search(r"\d|\b(?:plus|minus|times|divided)\b", text):
        return []
    text = _DATE.sub(" ", _URL.sub(" ", text))
    text = _SPELLED_OUT.sub(lambda match: _WORD_NUMBERS[match.group(0).lower()], text)
    for pattern, written in _PHRASES:
        text = pattern.sub(written, text)
    found = [_balanced(" ".join(match.group(0).split())) for match in _EXPRESSION.finditer(text)]
    asks = _ASKS.search(text) is not None
    return list(dict.fromkeys(e for e in found if e and (asks or _is_plain_arithmetic(e))))


def _is_plain_arithmetic(expression: str) -> bool:
    """Tell arithmetic from "24/7" and "2-3": it has a sign that only arithmetic has, or spaces."""
    return " " in expression or any(sign in expression for sign in "+*%")


def _balanced(expression: str) -> str:
    """Drop parentheses that have no partner; empty when something is left open inside."""
    while expression.count("(") > expression.count(")") and expression.startswith("("):
        expression = expression[1:].strip()
    while expression.count(")") > expression.count("(") and expression.endswith(")"):
        expression = expression[:-1].strip()
    return expression if expression.count("(") == expression.count(")") else ""
