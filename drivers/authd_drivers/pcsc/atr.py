"""The answer to reset, ISO/IEC 7816-3 clause 8: what a card says first, and the first thing of it not to be believed.

Parsers: `parse_atr`: bytes in, a value or `DriverError(Fault.PROTOCOL)` out.
"""

from __future__ import annotations

from dataclasses import dataclass

from authd.driver import DriverError, Fault

MAX_ATR = 33
_STORAGE = bytes.fromhex("804f0ca000000306")


@dataclass(frozen=True, slots=True)
class Atr:
    """protocols: the numbers T= that it offers, in their order; historical: its historical bytes, at most 15."""

    protocols: tuple[int, ...]
    historical: bytes

    @property
    def storage(self) -> bool:
        """Whether the reader made it for a card without applications (PC/SC part 3, 3.1.3.2.3): a number, no more."""
        return self.historical.startswith(_STORAGE)


def parse_atr(data: bytes) -> Atr:
    """Read an ATR, its check byte included."""
    if not 2 <= len(data) <= MAX_ATR or data[0] not in (0x3B, 0x3F):
        raise _bad("no answer to reset")
    count, at, protocols = data[1] & 0xF, 2, list[int]()
    present = data[1] >> 4
    while present:
        width = present.bit_count()
        group = data[at : at + width]
        if len(group) != width:
            raise _bad("interface bytes that are not there")
        at += width
        if not present & 8:  # no TD, and so no further group
            break
        protocols.append(group[-1] & 0xF)
        present = group[-1] >> 4
    checked = any(protocol != 0 for protocol in protocols)
    if len(data) != at + count + checked:
        raise _bad("another length than it says")
    if checked and _sum(data[1:]):
        raise _bad("a wrong check byte")
    return Atr(tuple(dict.fromkeys(protocols)) or (0,), data[at : at + count])


def _sum(data: bytes) -> int:
    total = 0
    for byte in data:
        total ^= byte
    return total


def _bad(detail: str) -> DriverError:
    return DriverError(Fault.PROTOCOL, detail)
