"""What else lies on such a server: letters, minutes, lists of clubs and facilities, pages, pictures, logs.

Names in them are as common as the residents', dates and places as likely, telephone numbers of the same town.
"""

from __future__ import annotations

import random
import zlib
from collections.abc import Callable

from authd_simulators.leak import formats
from authd_simulators.leak.residents import COLUMNS, residents
from authd_simulators.people import name_parts

_WORDS = (
    *("会議", "資料", "予定", "報告", "確認", "検討", "事業", "計画", "予算", "地域"),
    *("参加", "開催", "案内", "申込", "配布", "当日", "受付", "担当", "連絡", "以上"),
)


class Innocents:
    """Makes innocent files, the same ones for the same seed."""

    def __init__(self, seed: int) -> None:
        self._dice = random.Random(f"innocent-{seed}")
        self._strangers = list(residents(600, seed + 1_000_003))
        kinds: dict[str, tuple[int, Callable[[], bytes]]] = {
            "txt": (20, self._memo),
            "html": (18, self._page),
            "jpg": (20, self._picture),
            "docx": (12, self._letter),
            "xlsx": (10, self._club),
            "csv": (8, self._facilities),
            "log": (5, self._log),
            "pdf": (3, self._leaflet),
            "zip": (2, self._bundle),
            "doc": (2, self._old),
        }
        self._makers = {name: maker for name, (_, maker) in kinds.items()}
        self._order = [name for name, (share, _) in kinds.items() for _ in range(share)]

    def file(self) -> tuple[str, bytes]:
        """Return the next one: the ending of its name, and what is in it."""
        kind = self._dice.choice(self._order)
        return kind, self._makers[kind]()

    def _name(self) -> str:
        families, givens = name_parts()
        return f"{self._dice.choice(families)[0]} {self._dice.choice(givens)[0]}"

    def _day(self) -> str:
        return f"{self._dice.randrange(1930, 2016)}年{self._dice.randrange(1, 13)}月{self._dice.randrange(1, 29)}日"

    def _phone(self) -> str:
        return f"072-{self._dice.randrange(200, 300)}-{self._dice.randrange(10_000):04}"

    def _sentences(self, count: int) -> list[str]:
        return ["、".join(self._dice.choices(_WORDS, k=6)) + "。" for _ in range(count)]

    def _memo(self) -> bytes:
        lines = [
            f"{self._day()} {self._name()} {self._phone()}",
            *self._sentences(12),
            f"出席: {self._name()}、{self._name()}",
        ]
        return "\r\n".join(lines).encode(self._dice.choice(("cp932", "utf-8")))

    def _page(self) -> bytes:
        rows = "".join(f"<tr><td>{self._name()}</td><td>{self._day()}</td></tr>\n" for _ in range(6))
        said = "".join(f"<p>{line}</p>\n" for line in self._sentences(10))
        return f"<!doctype html><html><body><table>{rows}</table>{said}</body></html>".encode()

    def _picture(self) -> bytes:
        return b"\xff\xd8\xff\xe0" + self._dice.randbytes(4_096)

    def _letter(self) -> bytes:
        lines = [f"{self._name()} 様", self._day(), *self._sentences(6), f"担当 {self._name()} 電話 {self._phone()}"]
        return formats.document(lines=lines)

    def _club(self) -> bytes:
        """Members of a club: people of the same town, but others."""
        rows = [(self._name(), self._day(), self._dice.choice("男女"), self._phone()) for _ in range(30)]
        return formats.workbook([("氏名", "生年月日", "性別", "電話"), *rows])

    def _facilities(self) -> bytes:
        """Somebody else's list with the very columns of the register."""
        rows = self._dice.sample(self._strangers, 30)
        return formats.listed([COLUMNS, *rows], self._dice.choice(("cp932", "utf-8-sig", "utf-16")))

    def _log(self) -> bytes:
        lines = (f"192.0.2.{self._dice.randrange(256)} - - GET /{self._dice.randrange(10**10)} 200" for _ in range(60))
        return "\n".join(lines).encode()

    def _leaflet(self) -> bytes:
        return formats.printed([f"{self._day()} {self._name()}", *self._sentences(12)])

    def _bundle(self) -> bytes:
        return formats.zipped({"memo.txt": self._memo(), "club.xlsx": self._club()})

    def _old(self) -> bytes:
        return bytes.fromhex("d0cf11e0a1b11ae1") + zlib.compress(self._dice.randbytes(512))
