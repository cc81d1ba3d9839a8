"""A child process: `python -I -m authd.service.host.child reader|verifier CHANNEL [KEY]` (numbers of descriptors).

It serves one device, or the gallery, and ends with its channel, with core, or at the first trouble: its supervisor
starts another one (crash-only).
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from types import ModuleType

# Libraries import these where they can, and a child uses neither: it has no network, and no annotation of theirs.
# Together they would be a third of its memory.
_UNUSED = ("ssl", "typing_extensions")
_UNTOUCHED = ("tempfile", "ipaddress")
"""`ctypes.util` and `urllib.parse` import them, the first with every kind of archive, for ways that no child goes."""


def main(argv: Sequence[str]) -> int:
    """Serve until the channel closes; the exit code says only whether it was in order."""
    absent: dict[str, None] = dict.fromkeys(_UNUSED)
    sys.modules.update(absent)  # type: ignore[arg-type]  # None is the documented way to make an import fail
    sys.modules.update({name: ModuleType(name) for name in _UNTOUCHED})
    from authd.service.host import begin

    for name in (*_UNUSED, *_UNTOUCHED):  # a driver that needs one may have it
        del sys.modules[name]
    return begin.main(argv)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
