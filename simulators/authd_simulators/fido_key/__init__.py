r"""A simulated FIDO2 key: CTAP 2.1 and U2F, in three layers, without a line of the library that reads real keys.

In process, one object (nothing else is needed; most tests use this):

    key = Key()                              # or Key(BIO), Key(Profile(aaguid=..., zero_counter=True), seed=1)
    key.presence.hand.auto = True            # touched by itself; or:
    key.presence.hand.give(TOUCH)            # TOUCH, Gesture(2) is finger 2, WRONG is a stranger's finger
    key.approve = lambda want, wait_s: TOUCH # or None: nobody there yet
    answer = key.call(b"\x04", keepalive=lambda status: None)   # status byte, then CBOR
    key.cancel()                             # from another thread or from within keepalive
    key.power(False); key.power(True)        # out and in again; a running command raises Unplugged
    key.trouble.errors.append(0x33)          # also .hang(), .resume(), .sleep_ms, .garbage
    Key(key.profile, Memory.unpack(key.memory.pack()))   # a clone
    key.attestation.root                     # DER of the root that an allow-list would name

CTAPHID over a pty in place of hidraw (`hid`), ISO 7816 over pcscd's virtual reader (`nfc`), and both as a process that
takes text commands: `python -m authd_simulators.fido_key --help`.
What it does not model: docs/reference/simulated-key.md.
"""

from authd_simulators.fido_key.key import Key
from authd_simulators.fido_key.memory import Finger, Memory, Resident
from authd_simulators.fido_key.presence import TOUCH, WRONG, Gesture, Hand, Want
from authd_simulators.fido_key.profile import BIO, PLAIN, Profile
from authd_simulators.fido_key.status import CtapError, Status, Unplugged

__all__ = [
    "BIO",
    "PLAIN",
    "TOUCH",
    "WRONG",
    "CtapError",
    "Finger",
    "Gesture",
    "Hand",
    "Key",
    "Memory",
    "Profile",
    "Resident",
    "Status",
    "Unplugged",
    "Want",
]
