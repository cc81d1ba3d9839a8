"""Writes the tables of docs/how-to/one-finger-or-two.md from the profiles: `python -m tests.tools.draw_roster`."""

from __future__ import annotations

from pathlib import Path

from authd_drivers.vein.engine.profile import SensorProfile, load_profile, profile_names

DOCUMENT = Path(__file__).parents[2] / "docs" / "how-to" / "one-finger-or-two.md"
BEGIN, END = "<!-- tables: python -m tests.tools.draw_roster -->\n", "<!-- end of the tables -->\n"
LIMIT = 1e-4


def document() -> str:
    """Return the page with its tables made anew."""
    text = DOCUMENT.read_text(encoding="utf-8")
    before, _, rest = text.partition(BEGIN)
    tables = [table(load_profile(name)) for name in profile_names() if load_profile(name).roster]
    return before + BEGIN + "\n".join(["", *tables, END]) + rest.partition(END)[2]


def table(profile: SensorProfile) -> str:
    """Return one profile's rows, one line a roster size."""
    sizes = sorted({row.people for row in profile.roster})
    head = (
        "| people | names somebody else, 1 finger | 2 fingers | touches without a name, 1 finger | 2 fingers | `auto` |"
    )
    return "\n".join(
        [f"**{profile.name}**", "", head, "|---|---|---|---|---|---|", *(_line(profile, size) for size in sizes), ""]
    )


def _line(profile: SensorProfile, people: int) -> str:
    rows = {row.fingers: row for row in profile.roster if row.people == people}
    bounds = [f"<= {rows[n].bound:.1e}" if n in rows else "not measured" for n in (1, 2)]
    misses = [f"{rows[n].fnir_percent:g} %" if n in rows else "not measured" for n in (1, 2)]
    good = [n for n in (1, 2) if n in rows and rows[n].bound <= LIMIT]
    return f"| {people} | {' | '.join(bounds)} | {' | '.join(misses)} | {good[0] if good else 'refused'} |"


def main() -> None:
    """Write the page."""
    DOCUMENT.write_text(document(), encoding="utf-8")


if __name__ == "__main__":
    main()
