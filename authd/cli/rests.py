"""What a line of an answer rests on, in words: never more than its grade says, and whose word the rest is."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from authd.cli.files import label, local, plain
from authd.cli.printed import Both
from authd.core.model import Entry, Factor, Grade, Kind, Rung, Value
from authd.locale import LANGUAGES, UnknownText, text
from authd.service.ledger import Recorded, Stay
from authd.service.staff import PersonRecord

AUTHD = "authd"
"""As the system of a view: authd's own look-ups."""
People = Mapping[str, PersonRecord]


def both(say: Callable[[str], str]) -> Both:
    """Return what `say` says in each language."""
    ja, en = LANGUAGES
    return Both(say(ja), say(en))


def of_view(row: Recorded, known: People, language: str, *, shown: bool = True) -> str:
    """Return what the row of a view rests on; `shown` False: it was taken back before anything was shown."""
    entry = row.entry
    if entry.kind is Kind.VIEW_REFUSED:
        return plain(_refused(entry, language))
    said = [of_act(entry.grade, entry.data, language)]
    if entry.data.get("system") == AUTHD:
        said = [*([] if entry.subject is None else said), *_looked(entry, known, language)]
    else:
        said.append(text("views.reported", language, system=entry.data.get("system", "?")))
    if not shown:
        said.append(text("views.not_shown", language))
    if entry.data.get("guard") == "masked":
        said.append(text("flags.shown_masked", language))
    if entry.kind is Kind.VIEW_ACKNOWLEDGED:
        said.append(text("views.acknowledged", language))
    said += _helped(entry.data, known, language)
    return plain((" " if language == "en" else "").join(said))


def of_stay(stay: Stay, known: People, language: str) -> str:
    """Return what a stay at a seat rests on."""
    data = {**stay.evidence, "acted": stay.since_ms}
    said = [of_act(stay.grade, data, language), *_helped(data, known, language)]
    return plain((" " if language == "en" else "").join(said))


def of_act(grade: Grade | None, data: Mapping[str, Value], language: str) -> str:
    """Return what a grade means here: whose act, where and when. Without all of that, what the grade means at all."""
    acted, reader = data.get("acted"), data.get("reader")
    if grade in (None, Grade.DEVICE, Grade.STATEMENT):
        return text(f"views.acted_{grade or 'none'}", language)
    if not isinstance(acted, int):
        return f"{text(grade, language)}{'.' if language == 'en' else '。'}"
    factor = _factor(data.get("factor"), language)
    holes = {"acted": moment_text(acted), "factor": factor}
    return text(f"views.acted_{grade}", language, **holes, **({"reader": reader} if grade is Grade.MATCHED else {}))


def moment_text(wall_ms: int) -> str:
    """Write a time of the host's wall clock, to the second."""
    return local(wall_ms).strftime("%Y-%m-%d %H:%M:%S")


def why(entry: Entry, language: str) -> str:
    """Return why a report was refused."""
    word = str(entry.data.get("why", "?"))
    try:
        return text(f"view_why.{word}", language)
    except UnknownText:  # another part's reason, or a newer authd's
        return text("view_why.other", language, why=word)


def _refused(entry: Entry, language: str) -> str:
    if "count" in entry.data:
        return text("views.refused_many", language, count=entry.data["count"])
    return text("views.refused", language, why=why(entry, language))


def _looked(entry: Entry, known: People, language: str) -> list[str]:
    """Say who asked the ledger: a person only where they touched for it."""
    account, claimed, touched = (entry.data.get(name) for name in ("account", "claimed", "touched"))
    if entry.subject is not None:
        at = moment_text(touched) if isinstance(touched, int) else None
        return [text("views.looked_touched", language, touched=at) if at else text("views.looked", language)]
    said = [text("views.looked_account", language, account=account) if account else text("views.looked", language)]
    if isinstance(claimed, str):
        seat = entry.data.get("claimed_seat", "?")
        said.append(text("views.looked_claimed", language, seat=seat, person=label(claimed, known)))
    return said


def _factor(factor: Value, language: str) -> str:
    known = factor in set(Factor)
    return text(f"factor.{factor}", language) if known else str(factor)


def _helped(data: Mapping[str, Value], known: People, language: str) -> list[str]:
    helper = data.get("helper")
    if not isinstance(helper, str):
        return []
    id_ = "views.broken_glass" if data.get("ladder") == Rung.BREAK_GLASS else "views.vouched"
    return [text(id_, language, helper=label(helper, known))]
