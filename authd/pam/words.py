"""What a login says in a terminal, by the daemon's own words for it. Nothing here has a name in it."""

from __future__ import annotations

from typing import Final

from authd.locale import catalogue

SAY: Final = (
    *(
        "waiting",
        "locked",
        "logged_out",
        "confirm",
        "once_more",
        "another_finger",
        "another_factor",
        "other_way",
        "pin",
        "wait",
    ),
    *(
        "refused",
        "refused_hours",
        "refused_factors",
        "reader_lost",
        "ledger_down",
        "key_unknown",
        "key_refused",
        "key_blocked",
    ),
)
"""Of what a seat says: that which helps whoever waits."""
WHY: Final = ("other", "nobody", "late", "refused", "ended", "no_account", "unavailable", "gone", "elsewhere", "setup")
"""Why nobody was let in."""


def say(word: str, language: str) -> str:
    """Return the sentence for a word of `SAY`; nothing for another."""
    found = catalogue(language)
    return found.get(f"pam.say_{word}", found[f"message.{word}"]) if word in SAY else ""


def why(word: str, language: str) -> str:
    """Return the sentence for a word of `WHY`; nothing for another."""
    return catalogue(language)[f"pam.{word}"] if word in WHY else ""
