"""What a cell says, however it was typed: the text whose fingerprint is taken.

A list that went through Excel, a word processor or somebody's hands comes back with full-width digits, other spaces,
lost leading zeros, other dates, 3丁目2番1号 for 3-2-1, kana in hiragana and the other of two ways to write a kanji.
"""

from __future__ import annotations

import re
import unicodedata
from typing import Final

LONGEST: Final = 256
"""Characters of a cell that count; the rest does not tell two cells apart."""

_ERAS: Final = {
    "明治": 1867, "大正": 1911, "昭和": 1925, "平成": 1988, "令和": 2018,
    "m": 1867, "t": 1911, "s": 1925, "h": 1988, "r": 2018,
}  # fmt: skip
_DASHES: Final[dict[int, str]] = dict.fromkeys(map(ord, "‐‑‒–—―−─━"), "-")
_KANJI: Final[dict[int, int]] = str.maketrans(
    "髙﨑濵濱邊邉齋齊澤廣國嶋德惠眞圓櫻龍瀧壽藪榮", "高崎浜浜辺辺斎斉沢広国島徳恵真円桜竜滝寿薮栄"
)
_TABLE: Final[dict[int, int | str]] = {
    **_DASHES,
    **_KANJI,
    **{code: chr(code + 0x60) for code in range(0x3041, 0x3097)},
}
_DATE: Final = re.compile(r"(\d{4})[-/.年](\d{1,2})[-/.月](\d{1,2})日?(?:00?:00(?::00)?)?")
_ERA: Final = re.compile(r"(明治|大正|昭和|平成|令和|[mtshr])(\d{1,2}|元)[-/.年](\d{1,2})[-/.月](\d{1,2})日?")
_NUMBER: Final = re.compile(r"[+(]?\d[\d()+-]*\d(?:\.0+)?")
_PLACE: Final = re.compile(r"(?<=\d)(?:丁目|番地ノ|番地|番|号|ー|ノ)(?=\d)")
_PLACE_END: Final = re.compile(r"(?<=\d)(?:番地|番|号)(?=\D|$)")
_LONG: Final = 7
_NOT_DIGITS: Final = str.maketrans("", "", "()+-")


def normal(cell: str) -> str:
    """Return what the cell says; empty for an empty one."""
    plain = "".join(cell[:LONGEST].split()).lower()
    if plain.isascii():
        return _figures(plain) if plain[-1:].isdigit() else plain
    plain = "".join(unicodedata.normalize("NFKC", plain).split()).lower()[:LONGEST].translate(_TABLE)
    if plain[-1:] == "日" or plain.isascii():
        return _figures(plain)
    if not plain.isalpha():
        plain = _PLACE_END.sub("", _PLACE.sub("-", plain))
    return plain


def _figures(plain: str) -> str:
    """Dates as 8 digits, numbers without signs and leading zeros."""
    if plain.isdigit():
        return plain.lstrip("0") or "0"
    if found := _DATE.fullmatch(plain):
        return f"{found[1]}{int(found[2]):02}{int(found[3]):02}"
    if found := _ERA.fullmatch(plain):
        year = _ERAS[found[1]] + (1 if found[2] == "元" else int(found[2]))
        return f"{year}{int(found[3]):02}{int(found[4]):02}"
    if _NUMBER.fullmatch(plain):
        digits = plain.partition(".")[0].translate(_NOT_DIGITS)
        if len(digits) >= _LONG or "." in plain:  # a telephone number or postal code; 3-1-5 is a house
            return digits.lstrip("0") or "0"
    return plain
