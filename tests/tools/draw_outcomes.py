"""Writes docs/reference/device-outcomes.md from the drivers' status tables: `python -m tests.tools.draw_outcomes`."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from authd.core.model import Message
from authd.core.seat import touches
from authd.driver import Denial, Fault, Hint
from authd.locale import text
from authd_drivers.fido2 import status
from authd_drivers.fprintd import results
from authd_drivers.pcsc import words

DOCUMENT = Path(__file__).parents[2] / "docs" / "reference" / "device-outcomes.md"
HEAD = """# What each answer of a device comes to

Generated from the drivers' tables by `python -m tests.tools.draw_outcomes`. Do not edit.

Every answer that a key, a card or the fingerprint service can give has exactly one outcome:

- **go on**, or **ask again**: nothing to say to anybody.
- **hint**: the person can do better. Never counted as a failed try, and the operation goes on.
- **fault**: the device's own trouble. Never counted, never shown as a wrong finger; its supervisor heals it.
- **denial**: the device's no, which no better presentation would change. It is in the ledger with its reason.
- **no match**: the service compared, and it is not the person who was named. The only outcome that counts as a try.

Beside each stands what the seat's screen says.
"""
KINDS = {Hint: "hint", Fault: "fault", Denial: "denial"}
PLAIN = {"ok": "go on", "retry": "ask again"}


def document() -> str:
    """Return the whole page."""
    return "\n".join([HEAD, *_keys(), *_cards(), *_service()])


def _keys() -> Iterable[str]:
    yield "## FIDO2 keys: status bytes of CTAP 2.1\n"
    yield _table(status.OUTCOMES, "0x{:02X}")
    yield "Any other byte (an extension's, a maker's, an unassigned one): fault `protocol`.\n"
    yield "## FIDO2 keys: status words of the NFC and U2F framing\n"
    yield _table(status.WORDS, "{:04X}")
    yield "`61xx` (more to come): ask again. Any other word: fault `protocol`.\n"


def _cards() -> Iterable[str]:
    yield "## Cards: status words\n"
    ranges = {_range(*ends): (meaning, outcome) for ends, (outcome, meaning) in words.STATUS.items()}
    yield _table(ranges, "{}")
    yield "## Cards: codes of PC/SC\n"
    yield _table({code: (name, outcome) for code, (outcome, name) in words.CODES.items()}, "0x{:08X}")
    yield "Any other code: fault `protocol`.\n"


def _service() -> Iterable[str]:
    for kind, table in results.TABLES.items():
        yield f"## Fingerprint service: {kind}\n"
        yield _table({f"{word}": (meaning, outcome) for word, (outcome, meaning) in table.items()}, "{}")
    yield "Any other word: fault `protocol`.\n"


def _range(first: int, last: int) -> str:
    return f"{first:04X}" if first == last else f"{first:04X}-{last:04X}"


def _table(outcomes: Mapping[Any, tuple[str, Any]], code: str) -> str:
    lines = ["| code | name | outcome | 画面 | screen |", "|---|---|---|---|---|"]
    for value, (name, outcome) in outcomes.items():
        cells = (f"`{code.format(value)}`", name, *said(outcome))
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def said(outcome: Any) -> tuple[str, str, str]:
    """Return the outcome's kind and value, and its words."""
    kind = next((name for noun, name in KINDS.items() if isinstance(outcome, noun)), "")
    if not kind:
        return PLAIN.get(str(outcome), str(outcome).replace("_", " ")), "", ""
    return f"{kind} `{outcome.value}`", _words(outcome, "ja"), _words(outcome, "en")


def _words(outcome: Any, language: str) -> str:
    """Of a denial the screen says less than the ledger."""
    if isinstance(outcome, Denial):
        outcome = _DENIED.get(outcome, Message.KEY_REFUSED)
    return text(outcome, language)


_DENIED: Mapping[Denial, Message] = vars(touches)["_SAID"]  # nobody else's business


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.tools.draw_outcomes", description=__doc__)
    parser.add_argument("--check", action="store_true", help="change nothing; exit 1 if the page is not current")
    if parser.parse_args().check:
        sys.exit(0 if DOCUMENT.read_text(encoding="utf-8") == document() else 1)
    DOCUMENT.write_text(document(), encoding="utf-8")


if __name__ == "__main__":
    main()
