"""The key's own CBOR: against RFC 8949's examples, python-fido2's codec, and what must not be read."""

from __future__ import annotations

from typing import Any

import fido2.cbor
import pytest
from hypothesis import given
from hypothesis import strategies as st

from authd_simulators.fido_key.cbor import Fields, decode, encode
from authd_simulators.fido_key.status import CtapError, Status

EXAMPLES: list[tuple[object, str]] = [  # RFC 8949, appendix A, as far as CTAP uses it
    (0, "00"),
    (23, "17"),
    (24, "1818"),
    (1_000, "1903e8"),
    (1_000_000, "1a000f4240"),
    (18446744073709551615, "1bffffffffffffffff"),
    (-1, "20"),
    (-100, "3863"),
    (False, "f4"),
    (True, "f5"),
    (None, "f6"),
    (b"\1\2\3\4", "4401020304"),
    ("\u6c34", "63e6b0b4"),
    ([1, [2, 3], [4, 5]], "8301820203820405"),
    ({"a": 1, "b": [2, 3]}, "a26161016162820203"),
]
FOREIGN = [
    "",
    "1800",  # not the shortest form
    "1900ff",
    "5801ff",
    "9f01ff",  # no length given
    "5f41ff41ffff",
    "fb3ff199999999999a",  # a float
    "f7",  # undefined
    "f814",
    "c000",  # a tag
    "0000",  # something left over
    "a201010101",  # a key twice
    "a202010101",  # keys not sorted
    "a2616101f501",  # a boolean as a key
    "a2410001810001",  # an array as a key
    "62c328",  # text that is no UTF-8
    "8181818181 00".replace(" ", ""),  # five levels
    "5bffffffffffffffff",
    "9bffffffffffffffff",
    "bb7fffffffffffffff",
    "81",
    "1c",
]
KEYS = st.integers(-(2**64), 2**64 - 1) | st.text(max_size=9) | st.binary(max_size=9)
LEAVES = KEYS | st.booleans()


@pytest.mark.parametrize(("value", "data"), EXAMPLES)
def test_the_examples_of_the_rfc(value: object, data: str) -> None:
    assert encode(value).hex() == data
    assert decode(bytes.fromhex(data)) == value


@pytest.mark.parametrize("data", FOREIGN)
def test_what_is_not_canonical_is_refused(data: str) -> None:
    with pytest.raises(CtapError) as refused:
        decode(bytes.fromhex(data))
    assert refused.value.status is Status.INVALID_CBOR


@given(
    st.recursive(
        LEAVES, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(KEYS, inner, max_size=4), max_leaves=9
    )
)
def test_it_says_the_same_as_the_other_end(value: Any) -> None:
    assert encode(value) == fido2.cbor.encode(value)


@given(st.binary(max_size=60))
def test_whatever_is_read_would_be_written_the_same(data: bytes) -> None:
    try:
        value = decode(data)
    except CtapError:
        return
    assert encode(value) == data


@pytest.mark.parametrize("value", [1.5, {1.5}, object(), 2**64])
def test_there_is_no_cbor_for_the_rest(value: object) -> None:
    with pytest.raises(TypeError):
        encode(value)


def test_fields_have_types() -> None:
    fields = Fields.of({1: True, 2: b"x"})
    assert fields.get(3, int) is None
    for wrong in (lambda: fields.get(1, int), lambda: fields.get(2, str), lambda: fields.map(2), lambda: Fields.of([])):
        with pytest.raises(CtapError, match="CBOR_UNEXPECTED_TYPE"):
            wrong()
    with pytest.raises(CtapError, match="MISSING_PARAMETER"):
        fields.need(3, int)
