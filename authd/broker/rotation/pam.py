"""One question to PAM, in a process of its own: `python -I -m authd.broker.rotation.pam`, JSON in, JSON out.

PAM loads whatever modules a service names, into whoever asks; some of them change locales, signals, or never return.
So whoever holds the vault does not ask itself. In: service, account, and `old` (does it open?) or `old` and `new`
(change it). Out: `code`, PAM's own number. Prompts are answered by what they ask for: modules ask in the C locale.
"""

from __future__ import annotations

import ctypes
import json
import sys
from typing import Any, Final

LIBRARY: Final = "libpam.so.0"
MOST_BYTES: Final = 16_384
SUCCESS: Final = 0
BUFFER_ERROR: Final = 5
CONVERSATION_ERROR: Final = 19
_ECHO_OFF, _ECHO_ON = 1, 2
_MOST_PROMPTS: Final = 16
_OLD_WORDS: Final = ("current", "old")


class _Message(ctypes.Structure):
    _fields_ = (("style", ctypes.c_int), ("text", ctypes.c_char_p))


class _Response(ctypes.Structure):
    _fields_ = (("text", ctypes.c_void_p), ("code", ctypes.c_int))


_CONVERSE = ctypes.CFUNCTYPE(
    ctypes.c_int,
    ctypes.c_int,
    ctypes.POINTER(ctypes.POINTER(_Message)),
    ctypes.POINTER(ctypes.POINTER(_Response)),
    ctypes.c_void_p,
)


class _Conversation(ctypes.Structure):
    _fields_ = (("converse", _CONVERSE), ("data", ctypes.c_void_p))


def ask(service: str, account: str, old: str, new: str | None) -> int:
    """Return PAM's answer. With `new` it is asked to change the password, else whether `old` opens the account."""
    ctypes.CDLL(LIBRARY, ctypes.RTLD_GLOBAL)
    pam = libc = ctypes.CDLL(None)  # by way of all that is loaded, so that a library put before libpam is asked
    libc.calloc.restype, libc.strdup.restype = ctypes.c_void_p, ctypes.c_void_p
    libc.calloc.argtypes, libc.strdup.argtypes = (ctypes.c_size_t, ctypes.c_size_t), (ctypes.c_char_p,)

    def converse(count: int, asked: Any, answers: Any, data: Any) -> int:
        if not 0 < count <= _MOST_PROMPTS:
            return CONVERSATION_ERROR
        # PAM frees what it is given, by free(3).
        found = ctypes.cast(libc.calloc(count, ctypes.sizeof(_Response)), ctypes.POINTER(_Response))
        if not found:
            return BUFFER_ERROR
        for at in range(count):
            each = asked[at].contents
            if each.style in (_ECHO_OFF, _ECHO_ON):
                found[at].text = libc.strdup(_answer(each.text or b"", old, new).encode())
        answers[0] = found
        return SUCCESS

    handle = ctypes.c_void_p()
    conversation = _Conversation(_CONVERSE(converse), None)
    begun: int = pam.pam_start(service.encode(), account.encode(), ctypes.byref(conversation), ctypes.byref(handle))
    if begun != SUCCESS:
        return begun
    code: int = (pam.pam_authenticate if new is None else pam.pam_chauthtok)(handle, 0)
    pam.pam_end(handle, code)
    return code


def _answer(prompt: bytes, old: str, new: str | None) -> str:
    """A change is asked for in the order current, new, new again; some modules leave out what they know."""
    wanted = prompt.decode("utf-8", "replace").lower()
    return old if new is None or any(word in wanted for word in _OLD_WORDS) else new


def main() -> int:
    """Answer one question."""
    told = json.loads(sys.stdin.buffer.read(MOST_BYTES))
    code = ask(told["service"], told["account"], told["old"], told.get("new"))
    sys.stdout.write(json.dumps({"code": code}))
    return 0


if __name__ == "__main__":
    sys.exit(main())
