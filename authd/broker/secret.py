"""Passwords of old systems: one that never shows itself, and how new ones are made."""

from __future__ import annotations

import secrets
import string
from dataclasses import dataclass
from typing import Final

MOST_BYTES: Final = 1_024
MOST_LENGTH: Final = 256
ALPHABETS: Final = {
    "letters": string.ascii_letters,
    "letters+digits": string.ascii_letters + string.digits,
    "upper+digits": string.ascii_uppercase + string.digits,
    "digits": string.digits,
}
"""What a system takes. Punctuation is left out: old systems disagree about it, and length is worth more."""
LEAST_BITS: Final = 26.0
"""Below 8 digits, whoever may try often enough finds it."""


class Secret:
    """A password. Whatever prints, formats, logs, compares or pickles it sees nothing; only `reveal` tells it."""

    __slots__ = ("_text",)

    def __init__(self, text: str) -> None:
        """Raises ValueError for what no system could take: nothing, too long, or more than one line."""
        if not text or len(text.encode("utf-8", "replace")) > MOST_BYTES:
            raise ValueError(f"a password of 1 to {MOST_BYTES} bytes is expected")
        if any(ord(each) < 0x20 or ord(each) in (0x7F, 0x85, 0x2028, 0x2029) for each in text):
            raise ValueError("a password on one line is expected, without control characters")
        if any(0xD800 <= ord(each) <= 0xDFFF for each in text):
            raise ValueError("a password in Unicode is expected")
        self._text = text

    def reveal(self) -> str:
        """Return the password, to be given to the system that it opens and to nothing else."""
        return self._text

    def same(self, other: Secret) -> bool:
        """Whether both are the same password, in a time that does not tell where they differ."""
        return secrets.compare_digest(self._text.encode(), other._text.encode())

    def __repr__(self) -> str:
        return "Secret(...)"

    def __reduce__(self) -> tuple[object, ...]:
        raise TypeError("a password is not copied out of the process")


@dataclass(frozen=True, slots=True)
class Shape:
    """What new passwords of a system look like. The first character is a letter wherever there are letters."""

    length: int = 40
    alphabet: str = "letters+digits"

    def __post_init__(self) -> None:
        """Raises ValueError where the system's own limits would make a password that can be guessed."""
        if self.alphabet not in ALPHABETS:
            raise ValueError(f"alphabet must be one of: {', '.join(ALPHABETS)}")
        if not 1 <= self.length <= MOST_LENGTH or self.bits < LEAST_BITS:
            raise ValueError(f"length must be at most {MOST_LENGTH}, and enough for {LEAST_BITS:.0f} bits")

    @property
    def bits(self) -> float:
        """How much somebody would have to guess."""
        size = len(ALPHABETS[self.alphabet])
        return self.length * (size.bit_length() - 1)

    def make(self) -> Secret:
        """Return a new password that nobody has ever seen."""
        characters = ALPHABETS[self.alphabet]
        first = [each for each in characters if each.isalpha()] or list(characters)
        return Secret(secrets.choice(first) + "".join(secrets.choice(characters) for _ in range(self.length - 1)))
