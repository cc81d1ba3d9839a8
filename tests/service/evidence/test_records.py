from __future__ import annotations

import pytest

from authd.service.evidence.records import BadNumber, Pseudonyms, derived

KEY = bytes(range(32))


def test_a_record_has_one_pseudonym_however_its_number_is_typed() -> None:
    names = Pseudonyms(KEY)
    assert names.record("1234567") == names.record(" １２３４５６７ ")
    assert len(names.record("1")) == 36


def test_other_numbers_namespaces_and_keys_give_others() -> None:
    names = Pseudonyms(KEY)
    found = {names.record("1"), names.record("2"), names.record("1", "tax"), Pseudonyms(b"x" * 32).record("1")}
    assert len(found) == 4


@pytest.mark.parametrize("number", ["", "   ", "1" * 65, "1\n2", "1\0"])
def test_what_is_no_number_is_said_so(number: str) -> None:
    with pytest.raises(BadNumber):
        Pseudonyms(KEY).record(number)


def test_every_use_of_the_key_has_its_own() -> None:
    assert derived(KEY, "record") != derived(KEY, "field") != KEY
