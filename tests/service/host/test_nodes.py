from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from authd.service.host.grants import Grants
from authd.service.host.nodes import MOST_NODES, PATTERN, granted, is_fido

KEY = bytes.fromhex("06d0f10901a1010920150026ff007508954081020921150026ff00750895409102c0")
"""As the FIDO alliance's HID appendix prints it."""
KEYBOARD = bytes.fromhex("05010906a101050719e029e71500250175019508810295017508810195057501c0")


def machine(folder: Path, *descriptors: bytes) -> Path:
    (folder / "dev").mkdir()
    for number, descriptor in enumerate(descriptors):
        (folder / "dev" / f"hidraw{number}").touch()
        described = folder / "sys/class/hidraw" / f"hidraw{number}" / "device"
        described.mkdir(parents=True)
        (described / "report_descriptor").write_bytes(descriptor)
    return folder


def test_a_key_is_told_from_a_keyboard() -> None:
    assert is_fido(KEY)
    assert not is_fido(KEYBOARD)


@pytest.mark.parametrize(
    ("descriptor", "fido"),
    [
        (b"", False),
        (b"\x06", False),
        (b"\x06\xd0", False),
        (b"\x06\xd0\xf1", True),
        (b"\x07\xd0\xf1\x00\x00", True),
        (b"\x0a\xd0\xf1", False),  # a usage, not a page
        (b"\xfe\x03\x00\x06\xd0\xf1", False),  # within a long item
        (b"\xfe\x00\x00\x06\xd0\xf1", True),
        (b"\xfe", False),
        (bytes(5_000) + b"\x06\xd0\xf1", False),
    ],
)
def test_items_are_read_as_the_class_definition_says(descriptor: bytes, fido: bool) -> None:
    assert is_fido(descriptor) is fido


@given(st.binary(max_size=200))
def test_any_bytes_are_answered(descriptor: bytes) -> None:
    assert is_fido(descriptor) in (True, False)


def test_the_pattern_stands_for_the_keys_that_are_there(tmp_path: Path) -> None:
    root = machine(tmp_path, KEYBOARD, KEY, b"", KEY)
    (root / "dev" / "hidraw9").touch()  # gone from sys already
    assert granted(Grants(("/dev/null", PATTERN)), root).devices == ("/dev/null", "/dev/hidraw1", "/dev/hidraw3")


def test_what_is_no_pattern_stays(tmp_path: Path) -> None:
    grants = Grants(("/dev/hidraw0",), ("/x",))
    assert granted(grants, machine(tmp_path, KEYBOARD)) is grants


def test_no_machine_has_so_many_keys(tmp_path: Path) -> None:
    assert len(granted(Grants((PATTERN,)), machine(tmp_path, *[KEY] * 20)).devices) == MOST_NODES
