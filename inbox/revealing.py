"""Makes visible what a text hides: characters that turn, join or vanish on a screen.

Somebody who approves a text must see what is in it; an override of the writing direction makes
`gpj.exe` look like `exe.jpg` (Unicode Technical Report 36, section 3.1), and characters without a
form carry words that only a machine reads.
"""

import re
import unicodedata

_PLAIN = frozenset("\n\t")
_HIDDEN = frozenset({"Cc", "Cf", "Zl", "Zp", "Cs", "Co"})
_JOINERS = "\u200c\u200d"  # which writing systems and emoji need, one at a time
_EMOJI = "\ufe0f"
# Default_Ignorable_Code_Point of the Unicode Character Database, as far as no category tells it;
# and the blank of Braille, which is none but looks so.
_FORMLESS = re.compile(
    "[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u2065\u2800\u3164\ufe00-\ufe0e\uffa0"
    "\ufff0-\ufff8\U000e0000-\U000e0fff]"
)


def reveal(text: str) -> str:
    """The text with its hidden characters written out, as ⟨U+202E⟩."""
    if text.isascii() and text.isprintable():
        return text
    shown = (
        f"⟨U+{ord(one):04X}⟩" if _is_hidden(one, before) else one
        for before, one in zip(f" {text}", text, strict=False)
    )
    return "".join(shown)


def _is_hidden(one: str, before: str) -> bool:
    if one in _PLAIN:
        return False
    if one in _JOINERS:  # nothing is joined to what has no form, or to a letter of ASCII
        return before.isascii() or before in _JOINERS
    if one == _EMOJI:
        is_keycap = before in "#*0123456789"
        return (before.isascii() and not is_keycap) or before in _JOINERS + _EMOJI
    if _FORMLESS.match(one):
        return True
    return not one.isprintable() and unicodedata.category(one) in _HIDDEN
