"""The X display, as far as the agent needs it, through ctypes: idle time, the shield, a nudge of the pointer.

Nothing here reads what is on the screen or typed. An error of the display (`BadWindow` of a window that has just gone)
is ignored; a display that goes takes this process with it, and its desktop.
"""

from __future__ import annotations

import ctypes
from ctypes import POINTER, byref, c_char_p, c_int, c_long, c_uint, c_ulong, c_void_p
from typing import Any, Final

OVERRIDE_REDIRECT, BACK_PIXEL, EVENT_MASK = 1 << 9, 1 << 1, 1 << 11
EXPOSURE, VISIBILITY_CHANGE, STRUCTURE_NOTIFY = 1 << 15, 1 << 16, 1 << 17
VISIBILITY_NOTIFY, DESTROY_NOTIFY, UNMAP_NOTIFY, CONFIGURE_NOTIFY = 15, 17, 18, 22
COPY_FROM_PARENT: Final = 0
LARGEST: Final = 65_535


class NoDisplay(Exception):
    """There is no X display, or a library is missing; the text says what to do."""


class _Attributes(ctypes.Structure):
    """XSetWindowAttributes."""

    _fields_ = (
        ("background_pixmap", c_ulong),
        ("background_pixel", c_ulong),
        ("border_pixmap", c_ulong),
        ("border_pixel", c_ulong),
        ("bit_gravity", c_int),
        ("win_gravity", c_int),
        ("backing_store", c_int),
        ("backing_planes", c_ulong),
        ("backing_pixel", c_ulong),
        ("save_under", c_int),
        ("event_mask", c_long),
        ("do_not_propagate_mask", c_long),
        ("override_redirect", c_int),
        ("colormap", c_ulong),
        ("cursor", c_ulong),
    )


class _Idle(ctypes.Structure):
    """XScreenSaverInfo."""

    _fields_ = (
        ("window", c_ulong),
        ("state", c_int),
        ("kind", c_int),
        ("til_or_since", c_ulong),
        ("idle", c_ulong),
        ("event_mask", c_ulong),
    )


class _Event(ctypes.Union):
    """XEvent: its type, and enough room."""

    _fields_ = (("type", c_int), ("pad", c_long * 24))


_Handler = ctypes.CFUNCTYPE(c_int, c_void_p, c_void_p)


def _ignore(display: object, error: object) -> int:
    return 0


_ignored = _Handler(_ignore)


def library(name: str, package: str) -> Any:
    """Load a library of the desktop's. Raises `NoDisplay`."""
    try:
        return ctypes.CDLL(name)
    except OSError as error:
        raise NoDisplay(f"{name} is missing; install {package}") from error


class Display:
    """A connection to the X server."""

    def __init__(self, name: str | None = None) -> None:
        """Open it; `name` None: `$DISPLAY`. Raises `NoDisplay`."""
        self.x = _declared(library("libX11.so.6", "libx11-6"))
        self._saver = library("libXss.so.1", "libxss1")
        self.x.XSetErrorHandler(_ignored)
        self.display = self.x.XOpenDisplay(name.encode() if name else None)
        if not self.display:
            raise NoDisplay("no X display can be opened; is DISPLAY set, and is this account let in (XAUTHORITY)?")
        self.screen = self.x.XDefaultScreen(self.display)
        self.root = self.x.XDefaultRootWindow(self.display)
        self.x.XSelectInput(self.display, self.root, STRUCTURE_NOTIFY)
        self._saver.XScreenSaverQueryInfo.argtypes = [c_void_p, c_ulong, POINTER(_Idle)]
        self._info = _Idle()

    def fileno(self) -> int:
        """Readable when something has happened."""
        return int(self.x.XConnectionNumber(self.display))

    def close(self) -> None:
        """Close it; its windows go with it."""
        self.x.XCloseDisplay(self.display)

    def idle_ms(self) -> int | None:
        """Return for how long nobody has used keyboard or mouse; None: the server cannot say."""
        asked = self._saver.XScreenSaverQueryInfo(self.display, self.root, byref(self._info))
        return int(self._info.idle) if asked else None

    def size(self, window: int = 0) -> tuple[int, int]:
        """Width and height of a window; of the whole screen, every monitor, without one."""
        root, x, y, width, height = c_ulong(), c_int(), c_int(), c_uint(), c_uint()
        rest = byref(c_uint()), byref(c_uint())
        place = byref(root), byref(x), byref(y), byref(width), byref(height)
        self.x.XGetGeometry(self.display, window or self.root, *place, *rest)
        return min(width.value, LARGEST), min(height.value, LARGEST)

    def wake(self) -> None:
        """Move the pointer by nothing that a person would see: xsecurelock then starts its authentication module."""
        for step in (1, -1):
            self.x.XWarpPointer(self.display, 0, 0, 0, 0, 0, 0, step, step)
        self.x.XFlush(self.display)

    def events(self) -> set[int]:
        """Take what has happened; returns the kinds of events."""
        kinds, event = set[int](), _Event()
        while self.x.XPending(self.display):
            self.x.XNextEvent(self.display, byref(event))
            kinds.add(event.type)
        return kinds


class Shield:
    """A black window over everything, above every other one. It hides; it holds neither keyboard nor mouse."""

    def __init__(self, display: Display) -> None:
        self._display = display
        self._up = self._resting = False
        self._window = self._made()

    def _made(self) -> int:
        display = self._display
        wanted = _Attributes(
            background_pixel=display.x.XBlackPixel(display.display, display.screen),
            event_mask=VISIBILITY_CHANGE | STRUCTURE_NOTIFY,
            override_redirect=1,
        )
        mask = OVERRIDE_REDIRECT | BACK_PIXEL | EVENT_MASK
        place = (0, 0, *display.size(), 0, COPY_FROM_PARENT, COPY_FROM_PARENT, None, mask, byref(wanted))
        return int(display.x.XCreateWindow(display.display, display.root, *place))

    @property
    def up(self) -> bool:
        """Whether it is shown."""
        return self._up

    def show(self) -> None:
        """Hide everything; returns once the server has it."""
        x, display = self._display.x, self._display.display
        if not self._up:
            x.XMoveResizeWindow(display, self._window, 0, 0, *self._display.size())
        self._up, self._resting = True, False
        x.XMapRaised(display, self._window)
        x.XSync(display, 0)

    def rest(self) -> None:
        """Stay, and let what holds the screen be above."""
        self._resting = True

    def hide(self) -> None:
        """Take it away."""
        self._up = False
        self._display.x.XUnmapWindow(self._display.display, self._window)
        self._display.x.XFlush(self._display.display)

    def _again(self) -> None:
        """Be there again, beneath the locker or above everything, as before."""
        resting = self._resting
        self.show()
        self._resting = resting

    def tend(self) -> None:
        """Stay above what came over it, and as large as the screen is; any program can take our window away."""
        kinds = self._display.events()
        if DESTROY_NOTIFY in kinds:
            self._window = self._made()
        if not self._up:
            return
        if kinds & {DESTROY_NOTIFY, UNMAP_NOTIFY}:
            self._again()
        x, display = self._display.x, self._display.display
        if CONFIGURE_NOTIFY in kinds:
            x.XMoveResizeWindow(display, self._window, 0, 0, *self._display.size())
        if kinds & {VISIBILITY_NOTIFY, CONFIGURE_NOTIFY} and not self._resting:
            x.XRaiseWindow(display, self._window)
            x.XFlush(display)


def _declared(x: Any) -> Any:
    """Say what the functions take: a 64-bit pointer that is passed as an int is cut in half."""
    whole = [c_void_p, c_ulong]
    for name, result, arguments in (
        ("XOpenDisplay", c_void_p, [c_char_p]),
        ("XCloseDisplay", c_int, [c_void_p]),
        ("XSetErrorHandler", c_void_p, [_Handler]),
        ("XConnectionNumber", c_int, [c_void_p]),
        ("XDefaultScreen", c_int, [c_void_p]),
        ("XDefaultRootWindow", c_ulong, [c_void_p]),
        ("XDefaultVisual", c_void_p, [c_void_p, c_int]),
        ("XBlackPixel", c_ulong, [c_void_p, c_int]),
        ("XSelectInput", c_int, [*whole, c_long]),
        ("XGetGeometry", c_int, [*whole, *[c_void_p] * 7]),
        ("XWarpPointer", c_int, [c_void_p, c_ulong, c_ulong, c_int, c_int, c_uint, c_uint, c_int, c_int]),
        ("XPending", c_int, [c_void_p]),
        ("XNextEvent", c_int, [c_void_p, c_void_p]),
        ("XFlush", c_int, [c_void_p]),
        ("XSync", c_int, [c_void_p, c_int]),
        ("XMapRaised", c_int, whole),
        ("XRaiseWindow", c_int, whole),
        ("XUnmapWindow", c_int, whole),
        ("XMoveResizeWindow", c_int, [*whole, c_int, c_int, c_uint, c_uint]),
        (
            "XCreateWindow",
            c_ulong,
            [*whole, c_int, c_int, c_uint, c_uint, c_uint, c_int, c_uint, c_void_p, c_ulong, c_void_p],
        ),
    ):
        function = getattr(x, name)
        function.restype, function.argtypes = result, arguments
    return x
