"""What may stand in a cell of a roster, and what it means."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable
from datetime import date
from typing import Final

from authd.service.staff import BadAttribute, checked_name

_NUMBER: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9-]{0,31}")
_WESTERN: Final = re.compile(r"(\d{4})([-/.年]?)(\d{1,2})([-/.月]?)(\d{1,2})日?")
_ERA: Final = re.compile(r"(令和|平成|R|H)(\d{1,2}|元)[-/.年](\d{1,2})[-/.月](\d{1,2})日?")
_ERAS: Final = {"令和": 2018, "R": 2018, "平成": 1988, "H": 1988}
_TIME: Final = re.compile(r"(\d{1,2})[:時](\d{2})分?")
_YEARS: Final = range(1990, 2101)
_RUN: Final = ("=", "+", "-", "@", "\t")
"""What a spreadsheet takes for the beginning of a formula."""
_DAYS: Final = {
    **{each: at for at, each in enumerate("月火水木金土日", 1)},
    **{each: at for at, each in enumerate(("mon", "tue", "wed", "thu", "fri", "sat", "sun"), 1)},
}
_YES: Final = frozenset({"○", "〇", "◯", "はい", "yes", "y", "true", "1", "有"})
_NO: Final = frozenset({"", "×", "✕", "いいえ", "no", "n", "false", "0", "無"})


class BadCell(ValueError):
    """`why`: id of the sentence; `value`: what it names."""

    def __init__(self, why: str, value: str = "") -> None:
        super().__init__(why)
        self.why = why
        self.value = value


def harmless(text: str) -> str:
    """Return the cell as it is, unless a spreadsheet would run it. Raises `BadCell`."""
    if text.startswith(_RUN) or _plain(text).startswith(_RUN):
        raise BadCell("formula", text[:1])
    return text


def number(text: str) -> str:
    """Read a staff number. Raises `BadCell`."""
    plain = _plain(text)
    if not plain:
        raise BadCell("needed")
    if not _NUMBER.fullmatch(plain):
        raise BadCell("number", text)
    return plain


def name(text: str) -> str:
    """Read a name. Raises `BadCell`."""
    if not text:
        raise BadCell("needed")
    return kana(text)


def kana(text: str) -> str:
    """Read how a name is read, or nothing. Raises `BadCell`."""
    try:
        return checked_name("name", text, empty=True)
    except BadAttribute:
        raise BadCell("name", text) from None


def section(text: str, known: Callable[[str], str | None]) -> str:
    """Read a section. Raises `BadCell`."""
    if not text:
        raise BadCell("needed")
    found = known(text)
    if found is None:
        raise BadCell("section", text)
    return found


def day(text: str) -> date:
    """Read `2027-04-01`, `2027/4/1`, `20270401`, `2027年4月1日`, `令和9年4月1日` or `R9.4.1`. Raises `BadCell`."""
    plain = _plain(text)
    if not plain:
        raise BadCell("needed")
    western, era = _WESTERN.fullmatch(plain), _ERA.fullmatch(plain)
    if era is not None:
        count = 1 if era[2] == "元" else int(era[2])
        year, month, of_month = _ERAS[era[1]] + count, int(era[3]), int(era[4])
    elif western is not None and bool(western[2]) == bool(western[4]) and (western[2] or len(plain) == 8):
        year, month, of_month = int(western[1]), int(western[3]), int(western[5])
    else:
        raise BadCell("date", text)
    if year not in _YEARS:
        raise BadCell("year", text)
    try:
        return date(year, month, of_month)
    except ValueError:
        raise BadCell("no_such_day", text) from None


def minute(text: str) -> int:
    """Read `8:30` or `8時30分` as the minute of the day. Raises `BadCell`."""
    match = _TIME.fullmatch(_plain(text))
    if match is None:
        raise BadCell("time", text)
    hour, minutes = int(match[1]), int(match[2])
    if minutes > 59 or hour > 24 or (hour == 24 and minutes):
        raise BadCell("time", text)
    return hour * 60 + minutes


def weekdays(text: str) -> tuple[int, ...]:
    """Read `月火水木金`, `月-金`, `mon tue wed` or `mon-fri`. Raises `BadCell`."""
    plain = re.sub(r"曜日?", "", _plain(text).casefold()).replace("~", "-").replace("〜", "-").replace("～", "-")
    found: set[int] = set()
    for part in re.split(r"[\s・、,/;]+", plain):
        found |= _days(part, text)
    if not found:
        raise BadCell("days", text)
    return tuple(sorted(found))


def _days(part: str, text: str) -> set[int]:
    words = [each for each in part.split("-") if each]
    if len(words) == 2 and all(each in _DAYS for each in words):
        first, last = _DAYS[words[0]], _DAYS[words[1]]
        return {day for day in range(1, 8) if first <= day <= last or (first > last and not last < day < first)}
    if part in _DAYS:
        return {_DAYS[part]}
    if part and all(each in _DAYS for each in part):
        return {_DAYS[each] for each in part}
    raise BadCell("days", text)


def flag(text: str) -> bool:
    """Read yes or no; nothing is no. Raises `BadCell`."""
    plain = _plain(text).casefold()
    if plain in _YES or text in _YES:
        return True
    if plain in _NO or text in _NO:
        return False
    raise BadCell("flag", text)


def _plain(text: str) -> str:
    return unicodedata.normalize("NFKC", text).strip()
