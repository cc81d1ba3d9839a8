"""Finger vein by near-infrared camera: the reader (cv2, in a reader child) and the comparator (NumPy, in the verifier).

`[reader.vein-1] driver="vein", source="/dev/video0"` or `source="folder:/data"`; `profile="sdumla"` names the kind of
sensor, `profile="/etc/authd-seat/mine.toml"` a file that `authd vein profile` wrote. For a folder: `after="1.0"`,
`stay="0.5"` (seconds), or `trigger="/run/finger"`, a file that names the picture to show.

Against false fingers: `lamp="/dev/gpiochip0"` and `lamp_lines="17,27"` where the lamps can be switched (lamps.py), and
`pulse="2.5"` for a reader on which a finger may be asked to lie so many seconds. Both need limits in the profile.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from authd.driver import DriverError, Fault, Reader
from authd_drivers.vein.engine.profile import ProfileError, SensorProfile, named

if TYPE_CHECKING:
    from authd_drivers.vein.source import Source


def READER(settings: Mapping[str, str]) -> Reader:  # noqa: N802  # the one name that authd looks for in every driver
    """Make the reader that `[reader.*]` of authd.toml describes. Raises `DriverError` for settings that are wrong."""
    # Only here: the verifier child imports this package too, and it shall never load cv2.
    from authd_drivers.vein.reader import VeinReader

    try:
        profile = named(settings.get("profile", "sdumla"))
        pulse = _seconds(settings, "pulse", 0.0)
        _know(profile, "pulse" if pulse else None)
        return VeinReader(_source(settings, profile), profile, pulse)
    except ProfileError as error:
        raise DriverError(Fault.NOT_PERMITTED, str(error)) from None


def _source(settings: Mapping[str, str], profile: SensorProfile) -> Source:
    source = settings.get("source", "")
    if source.startswith("folder:"):
        return _folder(Path(source.removeprefix("folder:")), settings)
    if not source.startswith("/dev/"):
        raise DriverError(Fault.NOT_PERMITTED, 'source: "/dev/..." or "folder:/..." is expected')
    from authd_drivers.vein.camera import CameraSource
    from authd_drivers.vein.engine.extract import sees_finger

    sees = partial(sees_finger, profile=profile)
    if "lamp" not in settings:
        return CameraSource(source, profile.width, profile.height, sees)
    from authd_drivers.vein.camera import LitCameraSource
    from authd_drivers.vein.lamps import GpioLamps

    _know(profile, "glow", "level", "ink", "lines", "shade")
    switch = GpioLamps(settings["lamp"], settings.get("lamp_lines", ""))
    return LitCameraSource(source, profile.width, profile.height, sees, switch)


def _know(profile: SensorProfile, *cues: str | None) -> None:
    """See that the profile has limits for these cues: without them a lamp or a pulse would only look like a measure."""
    if missing := {cue for cue in cues if cue is not None} - {row.cue for row in profile.pad}:
        raise DriverError(Fault.NOT_PERMITTED, f"profile {profile.name}: [[pad]] has no limits for {min(missing)}")


def _folder(folder: Path, settings: Mapping[str, str]) -> Source:
    from authd_drivers.vein.folder import FolderSource, Pointer, Turns

    if trigger := settings.get("trigger"):
        return FolderSource(folder, Pointer(folder, Path(trigger)))
    clock = partial(time.clock_gettime_ns, time.CLOCK_BOOTTIME)
    return FolderSource(folder, Turns(clock, _seconds(settings, "after", 1.0), _seconds(settings, "stay", 0.5)))


def _seconds(settings: Mapping[str, str], name: str, default: float) -> float:
    try:
        value = float(settings.get(name, default))
    except ValueError:
        value = -1.0
    if not 0 <= value <= 3600:
        raise DriverError(Fault.NOT_PERMITTED, f"{name}: seconds from 0 to 3600 are expected")
    return value
