"""The story of a drill on one page: what happened then, what happened here, what was asked and what was answered."""

from __future__ import annotations

import html
from collections.abc import Iterable
from pathlib import Path
from string import Template

from authd_simulators.drills.play import Play, Told
from authd_simulators.drills.scenario import Scenario, Words

STYLE = """
@page { size: A4; margin: 9mm; }
body { font: 7.6pt/1.25 "BIZ UDPGothic", "Noto Sans CJK JP", "Noto Sans JP", "Yu Gothic UI", sans-serif;
  color: #17212b; background: #fff; max-width: 192mm; margin: 0 auto; }
h1 { font-size: 14pt; margin: 0; line-height: 1.2; }
h2 { font-size: 9pt; margin: 2mm 0 0.6mm; border-bottom: 1pt solid; }
h2 [lang=en] { display: inline; margin-left: 2mm; }
[lang=en] { display: block; font-size: 6.2pt; line-height: 1.15; color: #4a5663; font-weight: 400; }
p { margin: 0 0 0.6mm; }
table { border-collapse: collapse; width: 100%; }
td, th { text-align: left; vertical-align: top; padding: 0.25mm 1.2mm; border-bottom: 0.4pt solid #c9d1d9; }
td { overflow-wrap: anywhere; }
th { font-size: 6.6pt; color: #4a5663; }
td.t { white-space: nowrap; font-variant-numeric: tabular-nums; color: #4a5663; }
.mark { font-weight: 700; white-space: nowrap; }
.bad { outline: 1.2pt dashed; padding: 0 1mm; }
.verdict { float: right; border: 1.4pt solid; border-radius: 2mm; padding: 0.6mm 3mm; font-size: 11pt; font-weight: 700;
  text-align: center; }
code, small { font-size: 6.6pt; color: #4a5663; overflow-wrap: anywhere; }
tr { break-inside: avoid; }
.asked td:first-child { width: 42%; }
"""
PAGE = Template("""<!doctype html>
<html lang="ja"><head><meta charset="utf-8"><title>$title</title><style>$style</style></head><body>
<div class="verdict">$verdict</div>
<h1>$title<span lang="en">$title_en</span></h1>
<h2>起きたこと<span lang="en">What happened</span></h2>
$happened
<p><small>出典 / sources: $sources</small></p>
<h2>ここで再現したこと($day)<span lang="en">replayed here: real processes, simulated readers</span></h2>
<table><tr><th>時刻</th><th>秒</th><th>場面 / scene</th><th>結果 / what came of it</th><th></th></tr>$scenes</table>
<h2>市が答えられなかった問い<span lang="en">What the city could not answer</span></h2>
$unanswered
<table class="asked"><tr><th>問い / question</th><th>答え / answer</th><th>秒</th><th></th></tr>$answers</table>
<p><small>$closing</small></p>
</body></html>
""")
CLOSING = (
    "等級Bは、その席の装置が本人の動作を照合したという意味です。記録を開いたことは業務システムの申告、手順の答えは本人の申告です。",
    "人名は架空、指は模擬です。",
    "Grade B: a person's act matched by this seat's reader. That a record was opened is what the system reported,",
    "and an answer to a procedure is what the person said. All names are invented, and the fingers simulated.",
)


def write(path: Path, scenario: Scenario, play: Play, all_ok: bool) -> None:
    """Write the page beside where it goes, then put it there. Raises `OSError`."""
    beside = path.with_name(path.name + ".new")
    beside.write_text(page(scenario, play.scenes, play.answers, all_ok), encoding="utf-8")
    beside.replace(path)


def page(scenario: Scenario, scenes: Iterable[Told], answers: Iterable[Told], all_ok: bool) -> str:
    """Return the page as HTML; everything in it is escaped, and nothing is loaded from anywhere."""
    told = list(scenes)
    title = {
        language: f"{scenario.city[language]} {scenario.year}: {scenario.title[language]}" for language in ("ja", "en")
    }
    return PAGE.substitute(
        style=STYLE,
        title=_text(title["ja"]),
        title_en=_text(title["en"]),
        verdict="✓ 答えられた<span lang='en'>answered</span>" if all_ok else "✗ 不合格<span lang='en'>failed</span>",
        happened=_paragraph(scenario.happened),
        unanswered=_paragraph(scenario.unanswered),
        sources=_text(" · ".join(scenario.sources)),
        day=f"{told[0].at:%Y-%m-%d %H:%M %Z}" if told else "-",
        scenes="".join(map(_scene, told)),
        answers="".join(map(_answer, answers)),
        closing=_text(" ".join(CLOSING)),
    )


def _scene(told: Told) -> str:
    cells = f"<td class='t'>{told.at:%H:%M:%S}</td><td class='t'>{told.since_s:.1f}</td>"
    return f"<tr>{cells}<td>{_two(told.words)}</td><td>{_two(told.result)}</td><td>{_mark(told.ok)}</td></tr>"


def _answer(told: Told) -> str:
    city = f"<small>当時 / then: {_text(told.city['ja'])} / {_text(told.city['en'])}</small>" if told.city else ""
    command = f" <code>{_text(told.command)}</code>" if told.command else ""
    cells = f"<td>{_two(told.words)}{city}</td><td>{_two(told.result)}{command}</td>"
    return f"<tr>{cells}<td class='t'>{told.took_s:.1f}</td><td>{_mark(told.ok)}</td></tr>"


def _mark(ok: bool | None) -> str:
    if ok is None:
        return ""
    return "<span class='mark'>✓</span>" if ok else "<span class='mark bad'>✗ NG</span>"


def _paragraph(words: Words) -> str:
    return f"<p>{_two(words)}</p>"


def _two(words: Words) -> str:
    if words["ja"] == words["en"]:
        return _text(words["ja"])
    return f"{_text(words['ja'])}<span lang='en'>{_text(words['en'])}</span>"


def _text(text: str) -> str:
    return html.escape(text)
