"""Device nodes that a pattern stands for, at the moment a child starts: only those of FIDO authenticators.

A keyboard is a hidraw node too. Which one is a key, its report descriptor says: a top-level collection of usage page
0xF1D0 (CTAP 2.1, 11.2.8.2; Device Class Definition for HID 1.11, 6.2.2).

Parsers: `is_fido`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Final

from authd.service.host.grants import Grants

PATTERN: Final = "/dev/hidraw*"
MOST_NODES: Final = 16
MAX_DESCRIPTOR: Final = 4_096
"""HID_MAX_DESCRIPTOR_SIZE of the kernel."""
FIDO: Final = 0xF1D0
_USAGE_PAGE, _LONG = 0x04, 0xFE
_SIZES: Final = (0, 1, 2, 4)


def granted(grants: Grants, root: Path = Path("/")) -> Grants:
    """Return the grants with `PATTERN` replaced by the nodes that it stands for now; `root`: of dev and sys."""
    if PATTERN not in grants.devices:
        return grants
    others = [each for each in grants.devices if each != PATTERN]
    return replace(grants, devices=(*others, *_keys(root)))


def is_fido(descriptor: bytes) -> bool:
    """Whether a report descriptor has the FIDO usage page. Any bytes are a descriptor; it reads what it can of them."""
    at, end = 0, min(len(descriptor), MAX_DESCRIPTOR)
    while at < end:
        prefix = descriptor[at]
        if prefix == _LONG:
            at += 3 + (descriptor[at + 1] if at + 1 < end else 0)
            continue
        size = _SIZES[prefix & 3]
        value = descriptor[at + 1 : at + 1 + size]
        if prefix & 0xFC == _USAGE_PAGE and len(value) == size and int.from_bytes(value, "little") == FIDO:
            return True
        at += 1 + size
    return False


def _keys(root: Path) -> Iterator[str]:
    found = 0
    for node in sorted((root / "dev").glob("hidraw*"), key=lambda path: (len(path.name), path.name)):
        described = root / "sys/class/hidraw" / node.name / "device/report_descriptor"
        try:
            with described.open("rb") as file:
                fido = is_fido(file.read(MAX_DESCRIPTOR))
        except OSError:  # it was pulled out a moment ago
            continue
        if fido and found < MOST_NODES:
            found += 1
            yield f"/dev/{node.name}"
