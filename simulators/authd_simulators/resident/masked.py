"""The page of a protected record: what is masked, the notice word for word, and the checklist with nothing chosen."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from authd.client.flags import AskedStep, Look
from authd_simulators.resident.html import Html, join, page
from authd_simulators.resident.records import Resident

LANGUAGE = "ja"
"""In which the notice stands on this page, and so in the ledger."""
STEP = "step."


@dataclass(frozen=True, slots=True)
class Confirmed:
    """What the form says."""

    look: str
    purpose: str
    answers: Mapping[str, str]


def masked(visit: str, resident: Resident, look: Look, purpose: str = "", *, refused: str = "") -> Html:
    """Return the page. `refused`: what authd said to the try before."""
    steps: Sequence[AskedStep] = look.checklist.steps if look.checklist is not None else ()
    words = {
        "ja": "表示できませんでした。目的・確認・タッチをもう一度確かめてください。",
        "en": f"Not shown: {refused}",
    }
    return page(
        "masked",
        visit=visit,
        number=resident.number,
        name=resident.name,
        kana=resident.kana,
        born=resident.born_in_era,
        look=look.id,
        notice=look.notice[LANGUAGE],
        purpose=purpose,
        steps=join(_step(each) for each in steps),
        refusal=page("refusal", **words) if refused else Html(""),
    )


def confirmed(fields: Mapping[str, Sequence[str]]) -> Confirmed:
    """Read the form."""
    said = {name: values[0] for name, values in fields.items() if values}
    answers = {name.removeprefix(STEP): value for name, value in said.items() if name.startswith(STEP)}
    return Confirmed(said.get("look", ""), said.get("purpose", ""), answers)


def _step(step: AskedStep) -> Html:
    choices = join(
        page("choice", step=step.id, answer=each.id, ja=each.words["ja"], en=each.words["en"]) for each in step.answers
    )
    return page("step", ja=step.words["ja"], en=step.words["en"], choices=choices)
