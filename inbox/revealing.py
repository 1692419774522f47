"""Makes visible what a text hides: characters that turn, join or vanish on a screen.

Somebody who approves a text must see what is in it; an override of the writing direction makes
`gpj.exe` look like `exe.jpg` (Unicode Technical Report 36, section 3.1).
"""

import unicodedata

_PLAIN = frozenset("\n\t")
_JOINERS = frozenset("\u200c\u200d\ufe0f")  # which writing systems and emoji need


def reveal(text: str) -> str:
    """The text with its hidden characters written out, as ⟨U+202E⟩."""
    return "".join(f"⟨U+{ord(one):04X}⟩" if _is_hidden(one) else one for one in text)


def _is_hidden(character: str) -> bool:
    if character in _PLAIN or character in _JOINERS or character.isprintable():
        return False
    return unicodedata.category(character) in {"Cc", "Cf", "Zl", "Zp", "Cs", "Co"}
