"""A driver's `manifest.toml`: read before any of its code, and all that its sandbox is made from.

    kind = "touch"                  # touch: takes samples of a person; signal: only says states (a presence sensor)
    modality = "vein"               # what the samples are, the name of the comparator; "" for a signal
    capabilities = ["capture", "watch"]   # the operations it knows, and "prompt" (may ask for a PIN), "insertion"
                                    # (says which stay of a key or card it is, so that a session can end with it)
    pad_level = "none"              # none | heuristic | vendor: what is done against false fingers
    pad_level_with = {lamp = "heuristic"}   # another level for a reader that has this setting
    simulator = false               # true only in the simulators' distribution
    settings = ["source"]           # names it understands in `[reader.*]`; leave out to accept any
    devices = ["{source#/dev/}"]    # device nodes it may open, read, write and ioctl
    read = ["{source#folder:}"]     # files and folders it may read
    shared = ["profile"]            # settings that may name a file whose text the comparator is given too
    unix_sockets = []               # sockets it may connect to
    [limits]
    memory_mb = 512                 # address space (RLIMIT_AS), mappings of libraries included
    files = 32                      # open descriptors
    threads = 8                     # 0: may not start any (a driver never starts a process)

`{name}` is the reader's setting of that name. `{name#prefix}` makes the item optional: it counts only where the setting
begins with the prefix, and a prefix that ends in a colon is taken off (`folder:/data` becomes `/data`).

The device `/dev/hidraw*` stands for every FIDO key that is there when a child starts. A driver that sees a new one,
which it may not open, ends with `DriverError(Fault.REMOVED)`; the child after it may.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from pathlib import PurePosixPath
from typing import Literal

import msgspec

from authd.service.host.grants import Grants, Limits
from authd.service.host.nodes import PATTERN

MAX_MANIFEST_BYTES = 16_384
PadLevel = Literal["none", "heuristic", "vendor"]
Capability = Literal["capture", "watch", "verify", "confirm", "enroll", "prompt", "insertion"]
_PLACEHOLDER = re.compile(r"\{([a-z][a-z0-9_]*)(?:#([^{}]+))?\}")


class ManifestError(Exception):
    """The manifest, or a setting that it needs, is wrong; the message names the key and what is expected."""


class Manifest(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What a driver says of itself; see the module's text for each key."""

    kind: Literal["touch", "signal"]
    modality: str = ""
    capabilities: tuple[Capability, ...]
    pad_level: PadLevel = "none"
    pad_level_with: dict[str, PadLevel] = {}
    simulator: bool = False
    settings: tuple[str, ...] | None = None
    devices: tuple[str, ...] = ()
    read: tuple[str, ...] = ()
    shared: tuple[str, ...] = ()
    unix_sockets: tuple[str, ...] = ()
    limits: Limits = Limits()


def parse(text: bytes) -> Manifest:
    """Read a manifest. Raises `ManifestError`."""
    if len(text) > MAX_MANIFEST_BYTES:
        raise ManifestError(f"a manifest of at most {MAX_MANIFEST_BYTES} bytes is expected")
    try:
        manifest = msgspec.convert(tomllib.loads(text.decode()), Manifest, strict=True)
    except (ValueError, RecursionError) as error:  # tomllib's, the codec's and msgspec's errors are all ValueErrors
        raise ManifestError(str(error).replace("\n", " ")) from error
    return _sensible(manifest)


def _sensible(manifest: Manifest) -> Manifest:
    limits = manifest.limits
    if not (32 <= limits.memory_mb <= 8192 and 8 <= limits.files <= 256 and 0 <= limits.threads <= 64):
        raise ManifestError("limits: memory_mb 32 to 8192, files 8 to 256 and threads 0 to 64 are expected")
    can = manifest.capabilities
    if manifest.kind == "touch" and (not {"capture", "verify"} & set(can) or not manifest.modality):
        raise ManifestError('kind "touch": a modality and the capability "capture" (or "verify") are expected')
    if manifest.kind == "signal" and "watch" not in can:
        raise ManifestError('kind "signal": the capability "watch" is expected')
    if {"insertion", "confirm"} & set(can) and "watch" not in can:
        raise ManifestError('capabilities: "insertion" and "confirm" need "watch"')
    return manifest


def settled(manifest: Manifest, settings: Mapping[str, str]) -> Manifest:
    """Return the manifest with the `pad_level` of a reader with these settings."""
    levels = (level for name, level in manifest.pad_level_with.items() if settings.get(name))
    return msgspec.structs.replace(manifest, pad_level=next(levels, manifest.pad_level))


def fill(manifest: Manifest, settings: Mapping[str, str]) -> Grants:
    """Fill the placeholders from a reader's settings. Raises `ManifestError`."""
    known = settings.keys() if manifest.settings is None else set(manifest.settings)
    if unknown := sorted(settings.keys() - known):
        raise ManifestError(f"setting {unknown[0]!r}: one of {sorted(known)} is expected")
    devices = tuple(_paths("devices", manifest.devices, settings))
    for path in devices:
        if not path.startswith("/dev/") or (set("*?[") & set(path) and path != PATTERN):
            raise ManifestError(f"devices: a path under /dev, or {PATTERN}, is expected, not {path!r}")
    return Grants(
        devices,
        tuple(_paths("read", manifest.read, settings)),
        tuple(_paths("unix_sockets", manifest.unix_sockets, settings)),
        manifest.limits,
    )


def _paths(key: str, items: Iterable[str], settings: Mapping[str, str]) -> Iterator[str]:
    for item in items:
        path = _expand(key, item, settings)
        if path is None:
            continue
        if not path.startswith("/") or "\0" in path or ".." in PurePosixPath(path).parts or path == "/":
            raise ManifestError(f"{key}: an absolute path without '..' is expected, not {path!r}")
        yield path


def _expand(key: str, item: str, settings: Mapping[str, str]) -> str | None:
    """Return the item with its placeholders filled, None where an optional one does not apply."""
    out: list[str] = []
    end = 0
    for match in _PLACEHOLDER.finditer(item):
        name, prefix = match.groups()
        value = settings.get(name)
        if prefix is not None and (value is None or not value.startswith(prefix)):
            return None
        if value is None:
            raise ManifestError(f"{key}: the setting {name!r} is expected")
        out += item[end : match.start()], value.removeprefix(prefix) if prefix and prefix.endswith(":") else value
        end = match.end()
    return "".join((*out, item[end:]))
