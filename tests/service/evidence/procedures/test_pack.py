"""Packs as files: what came with authd holds, and what an overlay may and may not do, each error with its line."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Final

import pytest

from authd.service.evidence.procedures import check
from authd.service.evidence.procedures.pack import Packs, read
from authd.service.pdp import BundleError, Source, installed

OVERLAY = "procedures/section/tax/phone.toml"
BASE = "procedures/base/phone.toml"
Write = Callable[[str, str], Source]


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    """A copy of what came with authd, whose base counts as installed; an overlay is written by each test."""
    shutil.copytree(installed() / "procedures", tmp_path / "procedures")
    shutil.rmtree(tmp_path / "procedures" / "section")
    return tmp_path


@pytest.fixture
def write(bundle: Path) -> Write:
    def written(name: str, text: str) -> Source:
        (bundle / name).parent.mkdir(parents=True, exist_ok=True)
        (bundle / name).write_text(text, encoding="utf-8")
        return Source(bundle, base=bundle)

    return written


@pytest.fixture
def change(bundle: Path) -> Write:
    def changed(old: str, new: str) -> Source:
        path = bundle / BASE
        text = path.read_text(encoding="utf-8")
        assert old in text
        path.write_text(text.replace(old, new, 1), encoding="utf-8")
        return Source(bundle, base=bundle)

    return changed


def ways(packs: Packs, kind: str, section: str) -> list[str]:
    found = packs.checklist(kind, section)
    assert found is not None
    return [step.id for step in found.steps]


class TestInstalled:
    packs = read(Source(installed()))

    def test_there_is_one_for_the_phone_the_counter_and_a_letter(self) -> None:
        assert set(self.packs.base) == {"phone", "counter", "letter"}

    @pytest.mark.parametrize("kind", ["phone", "counter", "letter"])
    def test_no_number_that_the_caller_gives_is_ever_good(self, kind: str) -> None:
        found = self.packs.base[kind]
        answers = {step.id: next(each.id for each in step.answers if each.goes_on) for step in found.steps}
        assert check(found, answers)
        assert not check(found, answers | {"call_back": "caller"})

    def test_the_refusal_is_the_same_for_everybody_and_everywhere(self) -> None:
        said = {tuple(each.refusal.values()) for section in ("resident", "tax") for each in self.packs.of(section)}
        assert len(said) == 1

    def test_the_section_has_every_step_of_the_base_in_its_order_and_its_own(self) -> None:
        base, tax = ways(self.packs, "phone", "resident"), ways(self.packs, "phone", "tax")
        assert [step for step in tax if step != "superior"] == base
        assert tax.index("superior") == tax.index("reached") + 1


class TestCheck:
    found = read(Source(installed())).base["counter"]
    good: Final = {step.id: next(each.id for each in step.answers if each.goes_on) for step in found.steps}

    def test_every_step_is_needed(self) -> None:
        for name in self.good:
            assert not check(self.found, {step: given for step, given in self.good.items() if step != name})

    def test_nothing_unknown_is_taken(self) -> None:
        assert not check(self.found, self.good | {"another": "yes"})
        assert not check(self.found, self.good | {"form": "yes"})
        assert not check(self.found, {})

    def test_an_answer_that_refuses_is_no_answer(self) -> None:
        for step in self.found.steps:
            for answer in step.answers:
                assert check(self.found, self.good | {step.id: answer.id}) is answer.goes_on


STEP = """
[step.extra]
ja = "確認した"
en = "Checked"
[step.extra.answer]
yes = { ja = "した", en = "Yes", then = "go_on" }
no = { ja = "していない", en = "No", then = "refuse" }
"""


class TestOverlay:
    def test_a_step_is_added_where_it_says(self, write: Write) -> None:
        packs = read(
            write(OVERLAY, 'version = "1"' + STEP.replace("[step.extra]\n", '[step.extra]\nafter = "caller"\n'))
        )
        assert ways(packs, "phone", "tax")[1:3] == ["caller", "extra"]
        assert ways(packs, "phone", "resident") == ways(packs, "phone", "nowhere")
        assert "extra" not in ways(packs, "phone", "resident")

    def test_without_a_place_it_comes_last(self, write: Write) -> None:
        assert ways(read(write(OVERLAY, 'version = "1"' + STEP)), "phone", "tax")[-1] == "extra"

    def test_a_section_lies_over_the_city(self, write: Write) -> None:
        write("procedures/city/phone.toml", 'version = "3"' + STEP)
        packs = read(write(OVERLAY, 'version = "1"\n[tighten.extra]\nleast_s = 5\n'))
        found = packs.checklist("phone", "tax")
        assert found is not None
        assert found.version == "2026.1+city.3+section/tax.1"
        assert found.steps[-1].least_ms == 5000
        assert "extra" in ways(packs, "phone", "resident")

    def test_an_answer_can_be_closed(self, write: Write) -> None:
        packs = read(write(OVERLAY, 'version = "1"\n[tighten.caller]\nrefuse = ["authority"]\n'))
        found = packs.checklist("phone", "tax")
        assert found is not None
        closed = found.step("caller")
        assert closed is not None
        assert [answer.id for answer in closed.answers if answer.goes_on] == ["office"]

    @pytest.mark.parametrize(
        ("text", "line", "said"),
        [
            ('version = "1"\n[refusal]\nja = "いません"\n', 2, "may not touch refusal"),
            ('version = "1"\nremove = ["call_back"]\n', 2, "may not touch remove"),
            ('version = "1"\n\n[tighten.nothing]\n', 3, "there is no step nothing"),
            ('version = "1"\n[tighten.caller]\nrefuse = ["office", "authority"]\n', 3, "at least one answer"),
            ('version = "1"\n[tighten.caller]\nrefuse = ["nobody"]\n', 3, "answers of the step"),
            ('version = "1"\n[tighten.caller]\nallow = ["self"]\n', 3, "unknown key allow"),
            ('version = "1"\n[tighten.caller]\nleast_s = 61\n', 3, "least_s must be <= 60"),
            ('version = "1"' + STEP.replace("extra", "caller"), 2, "write [tighten.caller]"),
            ('version = "1"' + STEP.replace('ja = "確', 'after = "gone"\nja = "確'), 3, "after must name a step"),
            ('version = "one"\n', 1, "version must be numbers"),
            ('version = "1"\n[step\n', 2, "expected TOML"),
        ],
    )
    def test_what_it_may_not_do_is_said_with_its_line(self, write: Write, text: str, line: int, said: str) -> None:
        with pytest.raises(BundleError) as raised:
            read(write(OVERLAY, text))
        assert (raised.value.file, raised.value.line) == (OVERLAY, line)
        assert said in str(raised.value)

    def test_a_wait_is_never_shortened(self, write: Write) -> None:
        write("procedures/city/phone.toml", 'version = "1"\n[tighten.basis]\nleast_s = 5\n')
        with pytest.raises(BundleError, match=r"section/tax/phone.toml:3: least_s may be raised only, and is 5 below"):
            read(write(OVERLAY, 'version = "1"\n[tighten.basis]\nleast_s = 4\n'))

    def test_it_needs_a_base(self, write: Write) -> None:
        with pytest.raises(BundleError, match=r"section/tax/fax.toml:1: there is no base procedure fax"):
            read(write("procedures/section/tax/fax.toml", 'version = "1"\n'))

    def test_a_city_cannot_change_the_base(self, bundle: Path, write: Write) -> None:
        write(BASE, (bundle / BASE).read_text(encoding="utf-8") + "\n# and\n")
        with pytest.raises(BundleError, match=r"base/phone.toml:1: expected the installed text"):
            read(Source(bundle))


class TestBase:
    @pytest.mark.parametrize(
        ("old", "new", "said"),
        [
            ("office = { ja =", "office = { default = true, ja =", "no answer is ever ticked beforehand"),
            (
                'ja = "誰からの電話か"',
                'ja = "誰からの電話か"\nchecked = "office"',
                "no answer is ever ticked beforehand",
            ),
            ('the caller gave", then = "refuse"', 'the caller gave", then = "go_on"', "never ring the number"),
            ('kind = "call_back"\n', "", 'a step of the kind "call_back"'),
            ('kind = "call_back"', 'kind = "call"', "kind must be one of ask, call_back"),
            ('en = "Noted", then = "go_on"', 'en = "Noted", then = "maybe"', "then must be one of go_on, refuse"),
            ('none = { ja = "根拠', '# none = { ja = "根拠', "2 to 9 answers, got 1"),
            ("どなたについても、", "{name}様については、", "no holes"),
            ("どなたについても、", "誰についても、", "word for word the same"),
            ('en = "Who is calling?"', "", "en must be one line of 1 to 200 characters"),
            ('en = "Noted"', 'en = "a\\u202eb"', "one line"),
        ],
    )
    def test_what_is_wrong_with_it_is_said(self, change: Write, old: str, new: str, said: str) -> None:
        with pytest.raises(BundleError) as raised:
            read(change(old, new))
        assert said in str(raised.value)

    def test_the_line_is_that_of_the_answer(self, change: Write, bundle: Path) -> None:
        source = change('en = "Noted", then = "go_on"', 'en = "Noted", then = "maybe"')
        lines = (bundle / BASE).read_text(encoding="utf-8").split("\n")
        with pytest.raises(BundleError) as raised:
            read(source)
        assert "maybe" in lines[raised.value.line - 1]
