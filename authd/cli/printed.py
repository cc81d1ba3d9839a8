"""An answer on paper: one HTML page, Japanese with English below it, A4, and its PDF by a headless Chromium.

Everything that is not this module's own is escaped; the page has no script, loads nothing and links to nothing.
"""

from __future__ import annotations

import html
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from authd.cli._common import language
from authd.cli.whole import whole
from authd.locale import text

BROWSERS: Final = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
PRINT_S: Final = 120.0

STYLE: Final = """
@page { size: A4 landscape; margin: 10mm 10mm 12mm; @bottom-right { content: counter(page) " / " counter(pages); font-size: 8pt } }
* { box-sizing: border-box }
body { font: 8.3pt/1.35 "Noto Sans CJK JP", "Hiragino Sans", "Yu Gothic", sans-serif; color: #000; margin: 0 auto; max-width: 277mm }
@media screen { body { padding: 12mm } }
h1 { font-size: 14pt; margin: 0 0 1.5mm; line-height: 1.2 }
.en { display: block; font-size: 6.8pt; color: #333; line-height: 1.2 }
dl { display: grid; grid-template-columns: max-content 1fr; gap: .3mm 4mm; margin: 0 0 2mm }
dt { color: #333 } dd { margin: 0; overflow-wrap: anywhere }
dt .en { display: inline; margin-left: 1.5mm }
table { border-collapse: collapse; width: 100%; margin-bottom: 2mm }
thead { display: table-header-group }
tr { break-inside: avoid }
th, td { border: .25mm solid #666; padding: .7mm 1.2mm; text-align: left; vertical-align: top; overflow-wrap: anywhere }
th { background: #eee; font-weight: 600; white-space: nowrap }
td.grade { font-size: 13pt; font-weight: 700; text-align: center }
td.short { white-space: nowrap }
td.words { width: 52% }
td.code { font-size: 7pt }
ul { margin: 0; padding-left: 4mm; font-size: 7pt; columns: 2; column-gap: 8mm }
ul .en { font-size: 6.3pt }
li { break-inside: avoid }
.none { border: .25mm solid #666; padding: 2mm; font-weight: 600 }
"""  # noqa: E501 - a style sheet


@dataclass(frozen=True, slots=True)
class Both:
    """One text in both languages; `en` empty: it is the same in both."""

    ja: str
    en: str = ""

    @classmethod
    def of(cls, id_: str, /, **values: object) -> Both:
        """Return the sentence of this id in both languages."""
        return cls(text(id_, "ja", **values), text(id_, "en", **values))


@dataclass(frozen=True, slots=True)
class Column:
    """One column. kind: the class of its cells: `grade`, `short` (never broken), `words`, `code` or nothing."""

    head: Both
    kind: str = ""


@dataclass(frozen=True, slots=True)
class Sheet:
    """What is to be printed."""

    title: Both
    facts: Sequence[tuple[Both, Both]]
    """What was asked, when, of which ledger."""
    columns: Sequence[Column]
    rows: Sequence[Sequence[Both]]
    empty: Both
    """Said in place of a table without rows."""
    notes: Sequence[Both]


def page(sheet: Sheet) -> str:
    """Write the sheet as one HTML document."""
    facts = "".join(f"<dt>{_both(name)}</dt><dd>{_both(value)}</dd>" for name, value in sheet.facts)
    notes = "".join(f"<li>{_both(note)}</li>" for note in sheet.notes)
    body = _table(sheet) if sheet.rows else f'<p class="none">{_both(sheet.empty)}</p>'
    return (
        '<!doctype html>\n<html lang="ja"><head><meta charset="utf-8">\n'
        "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">\n"
        f"<title>{html.escape(sheet.title.ja)}</title><style>{STYLE}</style></head>\n<body>"
        f"<h1>{_both(sheet.title)}</h1>\n<dl>{facts}</dl>\n{body}\n<ul>{notes}</ul></body></html>\n"
    )


def write(path: Path, document: str) -> None:
    """Write the page, for its owner's eyes only: it names people. Raises OSError."""
    _private(path, document.encode())


def write_pdf(path: Path, document: str) -> None:
    """Print the page to a PDF. Raises OSError: no browser, or it did not print."""
    browser = next((found for name in BROWSERS if (found := shutil.which(name))), None)
    if browser is None:
        raise OSError(text("misuse.no_browser", language(), browsers=", ".join(BROWSERS)))
    with tempfile.TemporaryDirectory(prefix="authd-print-") as name:
        folder = Path(name)
        (folder / "page.html").write_text(document, encoding="utf-8")
        _print(browser, folder)
        try:
            printed = (folder / "page.pdf").read_bytes()
        except FileNotFoundError:
            raise OSError(text("misuse.printed_nothing", language(), browser=browser)) from None
    _private(path, printed)


def _print(browser: str, folder: Path) -> None:
    # Root has no sandbox in Chromium; the page is our own, without script and without a single address.
    alone = ["--no-sandbox"] if os.geteuid() == 0 else []
    command = [
        browser,
        "--headless",
        *alone,
        "--disable-gpu",
        "--disable-extensions",
        "--no-first-run",
        "--host-resolver-rules=MAP * ~NOTFOUND",
        f"--user-data-dir={folder}/profile",
        "--no-pdf-header-footer",
        f"--print-to-pdf={folder}/page.pdf",
        f"file://{folder}/page.html",
    ]
    try:
        quiet = subprocess.DEVNULL
        subprocess.run(command, check=False, timeout=PRINT_S, stdout=quiet, stderr=quiet)  # noqa: S603 (our own words)
    except subprocess.TimeoutExpired as error:
        raise OSError(text("misuse.print_late", language(), browser=browser, seconds=f"{PRINT_S:g}")) from error


def _private(path: Path, data: bytes) -> None:
    with whole(path) as file:
        file.write(data)


def _table(sheet: Sheet) -> str:
    heads = "".join(f"<th>{_both(column.head)}</th>" for column in sheet.columns)
    return f"<table><thead><tr>{heads}</tr></thead>\n<tbody>{''.join(_rows(sheet))}</tbody></table>"


def _rows(sheet: Sheet) -> Iterable[str]:
    for row in sheet.rows:
        cells = (
            f'<td class="{column.kind}">{_both(cell)}</td>' for column, cell in zip(sheet.columns, row, strict=True)
        )
        yield f"<tr>{''.join(cells)}</tr>\n"


def _both(both: Both) -> str:
    english = f'<span class="en" lang="en">{html.escape(both.en)}</span>' if both.en and both.en != both.ja else ""
    return html.escape(both.ja) + english
