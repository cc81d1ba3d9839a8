"""The locked screen's picture, drawn by cairo and pango through ctypes: a shape, a sentence large and small, dots.

A shape and a sentence beside each colour, so that colour is never the only sign; no name, so that a visitor reads
nothing of anybody.
"""

from __future__ import annotations

import ctypes
from ctypes import byref, c_char_p, c_double, c_int, c_void_p
from dataclasses import dataclass
from typing import Any, Final

from authd.agent.x11 import Display, library

FONT: Final = "Noto Sans CJK JP, IPAexGothic, Sans"
MOST_TYPED: Final = 64
GROUND: Final = (0.04, 0.05, 0.07)
INK: Final = (0.96, 0.97, 0.98)
QUIET: Final = (0.66, 0.70, 0.75)
TONES: Final = {
    "calm": ("ring", (0.45, 0.72, 1.0)),
    "good": ("disc", (0.45, 0.86, 0.55)),
    "retry": ("triangle", (1.0, 0.80, 0.35)),
    "stop": ("cross", (1.0, 0.50, 0.45)),
    "trouble": ("square", (1.0, 0.50, 0.45)),
}
"""Tone -> its shape and its colour."""


@dataclass(frozen=True, slots=True)
class Picture:
    """What is shown. `lines`: the sentence in each language, the large one first; `foot`: what can be done besides."""

    tone: str
    lines: tuple[str, ...]
    foot: tuple[str, ...] = ()
    typed: int | None = None
    """How many characters were typed, where something is asked; never which."""


class Painter:
    """Paints one window of the X server."""

    def __init__(self, display: Display, window: int) -> None:
        """Raises `NoDisplay` where a library is missing."""
        self._display, self._window = display, window
        self._cairo = _declared(library("libcairo.so.2", "libcairo2"), _CAIRO)
        self._pango = _declared(library("libpango-1.0.so.0", "libpango-1.0-0"), _PANGO)
        self._joint = _declared(library("libpangocairo-1.0.so.0", "libpangocairo-1.0-0"), _JOINT)
        self._objects = library("libgobject-2.0.so.0", "libglib2.0-0")
        self._objects.g_object_unref.argtypes = [c_void_p]

    def paint(self, picture: Picture) -> None:
        """Draw all of it anew, and show it at once."""
        width, height = self._display.size(self._window)
        x = self._display.x
        visual = x.XDefaultVisual(self._display.display, self._display.screen)
        surface = self._cairo.cairo_xlib_surface_create(self._display.display, self._window, visual, width, height)
        context = self._cairo.cairo_create(surface)
        self._cairo.cairo_push_group(context)  # nobody sees it half drawn
        self._draw(context, picture, width, height)
        self._cairo.cairo_pop_group_to_source(context)
        self._cairo.cairo_paint(context)
        self._cairo.cairo_destroy(context)
        self._cairo.cairo_surface_destroy(surface)
        x.XFlush(self._display.display)

    def _draw(self, context: Any, picture: Picture, width: int, height: int) -> None:
        shape, colour = TONES[picture.tone]
        unit = min(width, height) / 100
        middle = width / 2
        self._ink(context, GROUND)
        self._cairo.cairo_paint(context)
        self._ink(context, colour)
        self._shape(context, shape, middle, 30 * unit, 8 * unit)
        at = 46 * unit
        for number, line in enumerate(picture.lines):
            self._ink(context, INK if number == 0 else QUIET)
            at += self._text(context, line, middle, at, (6.0 if number == 0 else 3.6) * unit, width * 0.94)
        if picture.typed is not None:
            self._dots(context, min(picture.typed, MOST_TYPED), middle, at + 5 * unit, unit)
        at = height - 6 * unit
        self._ink(context, QUIET)
        for line in reversed(picture.foot):
            at -= self._text(context, line, middle, at, 2.2 * unit, width * 0.94)

    def _shape(self, context: Any, shape: str, x: float, y: float, size: float) -> None:
        draw = self._cairo
        draw.cairo_set_line_width(context, size / 4)
        if shape in ("ring", "disc"):
            draw.cairo_arc(context, x, y, size, 0.0, 6.2832)
            (draw.cairo_fill if shape == "disc" else draw.cairo_stroke)(context)
            return
        corners = _CORNERS[shape]
        for right, down in corners:
            draw.cairo_line_to(context, x + right * size, y + down * size)
        draw.cairo_close_path(context)
        draw.cairo_stroke(context)

    def _dots(self, context: Any, count: int, middle: float, y: float, unit: float) -> None:
        self._ink(context, INK)
        step = min(4 * unit, 80 * unit / max(count, 1))
        for number in range(count):
            self._cairo.cairo_arc(context, middle + (number - (count - 1) / 2) * step, y, step / 4, 0.0, 6.2832)
            self._cairo.cairo_fill(context)
        if not count:
            self._cairo.cairo_rectangle(context, middle - 12 * unit, y + unit, 24 * unit, unit / 4)
            self._cairo.cairo_fill(context)

    def _text(self, context: Any, line: str, middle: float, top: float, size: float, widest: float) -> float:
        """Write one line around the middle, as much smaller as it must be; returns its height in pixels."""
        for _ in range(4):
            layout = self._joint.pango_cairo_create_layout(context)
            font = self._pango.pango_font_description_from_string(FONT.encode())
            self._pango.pango_font_description_set_absolute_size(font, size * 1_024)
            self._pango.pango_layout_set_font_description(layout, font)
            self._pango.pango_font_description_free(font)
            self._pango.pango_layout_set_text(layout, line.encode(), -1)
            width, height = c_int(), c_int()
            self._pango.pango_layout_get_pixel_size(layout, byref(width), byref(height))
            if width.value <= widest:
                break
            self._objects.g_object_unref(layout)
            size *= widest / width.value * 0.98
        else:
            return 0.0
        self._cairo.cairo_move_to(context, middle - width.value / 2, top)
        self._joint.pango_cairo_show_layout(context, layout)
        self._objects.g_object_unref(layout)
        return height.value * 1.15

    def _ink(self, context: Any, colour: tuple[float, float, float]) -> None:
        self._cairo.cairo_set_source_rgb(context, *colour)


_CORNERS: Final[dict[str, tuple[tuple[float, float], ...]]] = {
    "triangle": ((0, -1), (1, 0.8), (-1, 0.8)),
    "square": ((-0.9, -0.9), (0.9, -0.9), (0.9, 0.9), (-0.9, 0.9)),
    "cross": ((-0.8, -0.8), (0.8, 0.8), (0, 0), (0.8, -0.8), (-0.8, 0.8), (0, 0)),
}
_Signature = tuple[str, Any, tuple[Any, ...]]
_NOTHING, _NUMBER = None, c_double
_CAIRO: Final[tuple[_Signature, ...]] = (
    ("cairo_xlib_surface_create", c_void_p, (c_void_p, ctypes.c_ulong, c_void_p, c_int, c_int)),
    ("cairo_create", c_void_p, (c_void_p,)),
    ("cairo_push_group", _NOTHING, (c_void_p,)),
    ("cairo_pop_group_to_source", _NOTHING, (c_void_p,)),
    ("cairo_paint", _NOTHING, (c_void_p,)),
    ("cairo_fill", _NOTHING, (c_void_p,)),
    ("cairo_stroke", _NOTHING, (c_void_p,)),
    ("cairo_close_path", _NOTHING, (c_void_p,)),
    ("cairo_destroy", _NOTHING, (c_void_p,)),
    ("cairo_surface_destroy", _NOTHING, (c_void_p,)),
    ("cairo_set_line_width", _NOTHING, (c_void_p, _NUMBER)),
    ("cairo_move_to", _NOTHING, (c_void_p, _NUMBER, _NUMBER)),
    ("cairo_line_to", _NOTHING, (c_void_p, _NUMBER, _NUMBER)),
    ("cairo_set_source_rgb", _NOTHING, (c_void_p, *[_NUMBER] * 3)),
    ("cairo_rectangle", _NOTHING, (c_void_p, *[_NUMBER] * 4)),
    ("cairo_arc", _NOTHING, (c_void_p, *[_NUMBER] * 5)),
)
_PANGO: Final[tuple[_Signature, ...]] = (
    ("pango_font_description_from_string", c_void_p, (c_char_p,)),
    ("pango_font_description_set_absolute_size", _NOTHING, (c_void_p, _NUMBER)),
    ("pango_font_description_free", _NOTHING, (c_void_p,)),
    ("pango_layout_set_font_description", _NOTHING, (c_void_p, c_void_p)),
    ("pango_layout_set_text", _NOTHING, (c_void_p, c_char_p, c_int)),
    ("pango_layout_get_pixel_size", _NOTHING, (c_void_p, c_void_p, c_void_p)),
)
_JOINT: Final[tuple[_Signature, ...]] = (
    ("pango_cairo_create_layout", c_void_p, (c_void_p,)),
    ("pango_cairo_show_layout", _NOTHING, (c_void_p, c_void_p)),
)


def _declared(found: Any, signatures: tuple[_Signature, ...]) -> Any:
    for name, result, arguments in signatures:
        function = getattr(found, name)
        function.restype, function.argtypes = result, list(arguments)
    return found
