"""From the core's face to what the page is told. Pure, and a list of what may pass: nothing else reaches a browser.

A page never learns a subject, a session's name or anything that this module does not name; the member of staff's own
name leaves only while that person's session is open.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping

from authd.core.model import MILLISECOND, Face, Instant, SeatState, SessionId
from authd.locale import LANGUAGES
from authd.web.door import Person, Sight

OPEN_STATES = frozenset({SeatState.ACTIVE, SeatState.FADING, SeatState.STEPPING_UP})
"""States in which a session is open; in every other one the page is covered and its applications are gone."""
MAX_NAME = 64
MAX_WAIT_MS = 24 * 3_600_000

Json = str | int | bool | None | Mapping[str, "Json"]
Sections = Mapping[str, Mapping[str, str]]


def turn_of(session: SessionId | None) -> str | None:
    """Name a session for the page: it tells two sessions apart and opens nothing."""
    return None if session is None else hashlib.sha256(session.encode()).hexdigest()[:16]


def open_turn(face: Face) -> str | None:
    """Return the turn that owns the seat in this face, if one does."""
    return turn_of(face.session) if face.state in OPEN_STATES else None


def ask_of(face: Face) -> str | None:
    """Name the prompt of this face, if there is one: what is typed for it goes to no other."""
    if face.prompt is None:
        return None
    told = f"{face.seat}|{face.epoch}|{face.at}|{face.prompt}"
    return hashlib.sha256(told.encode()).hexdigest()[:16]


def view_of(sight: Sight, sections: Sections, now: Instant) -> dict[str, Json]:
    """Return what the page is told of this face; spans in milliseconds from now, so that no clock need agree."""
    face = sight.face
    turn = open_turn(face)
    return {
        "state": face.state.value,
        "covered": turn is None,
        "message": face.message.value,
        "hint": face.hint.value if face.hint else None,
        "reader": face.reader,
        "prompt": _prompt(face),
        "named": face.claim is not None and turn is None,
        "lent": face.lent,
        "confirms": face.confirms.value if face.confirms else None,
        "break_glass": face.break_glass and turn is not None,
        "turn": turn,
        "age_ms": _span(now - face.at),
        "left_ms": None if face.until is None else _span(face.until - now),
        "person": _person(sight.person, sections) if sight.person and turn else None,
    }


def _prompt(face: Face) -> Mapping[str, Json] | None:
    prompt = face.prompt
    if prompt is None:
        return None
    return {"id": prompt.id.value, "left": prompt.left, "again": prompt.again, "ask": ask_of(face)}


def _span(nanoseconds: int) -> int:
    return min(max(nanoseconds // MILLISECOND, 0), MAX_WAIT_MS)


def _person(person: Person, sections: Sections) -> Mapping[str, Json]:
    words = sections.get(person.section, {})
    section = {language: words.get(language, person.section)[:MAX_NAME] for language in LANGUAGES}
    return {"name": person.name[:MAX_NAME], "kana": person.kana[:MAX_NAME], "section": section}
