from __future__ import annotations

import dataclasses

import pytest
from hypothesis import given
from hypothesis import strategies as st

from authd.service.seal import SealedTemplate, SealError, WrappedKey, new_key, seal, unseal, unwrap, wrap

HOST = bytes(range(32))
KEY = bytes(range(1, 33))
SLOT = SealedTemplate("tpl_1", 2, "sub_a", "vein", "right_index", b"")


def test_opens_in_its_slot() -> None:
    assert unseal(KEY, "store", seal(KEY, "store", SLOT, b"ridges")) == b"ridges"


@pytest.mark.parametrize(
    "change",
    [{"id": "tpl_2"}, {"version": 1}, {"version": 3}, {"subject": "sub_b"}, {"modality": "fingerprint"}],
    ids=lambda change: next(iter(change)),
)
def test_a_swapped_or_rolled_back_row_is_refused(change: dict[str, object]) -> None:
    sealed = seal(KEY, "store", SLOT, b"ridges")
    with pytest.raises(SealError):
        unseal(KEY, "store", dataclasses.replace(sealed, **change))  # type: ignore[arg-type]  # one field, by name


def test_every_pair_of_rows_swapped_is_refused() -> None:
    rows = [
        seal(KEY, "store", SealedTemplate(f"tpl_{n}", version, subject, modality, "f", b""), b"ridges")
        for n in range(2)
        for version in (1, 2)
        for subject in ("sub_a", "sub_b")
        for modality in ("vein", "finger")
    ]
    for one in rows:
        for other in rows:
            if one is not other:
                with pytest.raises(SealError):
                    unseal(KEY, "store", dataclasses.replace(one, sealed=other.sealed))


def test_another_store_key_or_person_is_refused() -> None:
    sealed = seal(KEY, "store", SLOT, b"ridges")
    with pytest.raises(SealError):
        unseal(KEY, "other", sealed)
    with pytest.raises(SealError):
        unseal(HOST, "store", sealed)
    wrapped = wrap(HOST, "store", "sub_a", KEY)
    assert unwrap(HOST, "store", wrapped) == KEY
    for wrong in (WrappedKey("sub_b", wrapped.wrapped), WrappedKey("sub_a", sealed.sealed)):
        with pytest.raises(SealError):
            unwrap(HOST, "store", wrong)
    with pytest.raises(SealError):
        unwrap(HOST, "other", wrapped)


def test_a_wrapped_key_is_no_template_and_the_other_way_round() -> None:
    wrapped = wrap(HOST, "store", "sub_a", KEY)
    with pytest.raises(SealError):
        unseal(HOST, "store", dataclasses.replace(SLOT, sealed=wrapped.wrapped))


@pytest.mark.parametrize("name", ["sub_a|vein", "", "\ud800"])
def test_a_name_that_could_stand_for_another_slot_is_refused(name: str) -> None:
    with pytest.raises(SealError):
        seal(KEY, "store", dataclasses.replace(SLOT, subject=name), b"ridges")


@given(st.binary(max_size=200))
def test_anything_else_is_refused_by_its_one_error(data: bytes) -> None:
    with pytest.raises(SealError):
        unseal(KEY, "store", dataclasses.replace(SLOT, sealed=data))


def test_sealing_twice_gives_other_bytes_and_digests() -> None:
    one, two = (seal(KEY, "store", SLOT, b"ridges") for _ in range(2))
    assert one.sealed != two.sealed
    assert one.digest != two.digest
    assert one.reference == "tpl_1@2"
    assert len(new_key()) == 32
    assert new_key() != new_key()


def test_a_template_that_is_too_long_is_refused() -> None:
    with pytest.raises(ValueError):
        seal(KEY, "store", SLOT, bytes(60_001))
