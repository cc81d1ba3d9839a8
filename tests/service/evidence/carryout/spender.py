"""A process that lets two people allow carry-outs and spends them, until it is killed.

    python -m tests.service.evidence.carryout.spender FOLDER COUNT

One line for each capability (`granted TOKEN`), then one for each that was answered with yes (`out TOKEN`).
"""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

from tests.service.evidence.carryout.desk import Desk, shown, town_hall


async def main(folder: Path, count: int) -> None:
    async with town_hall(folder) as desk:
        tokens = [(await desk.granted())[1] for _ in range(count)]
        for token in tokens:
            say(f"granted {token}")
        say("spending")
        await asyncio.gather(*(spend(desk, tokens[part::2]) for part in (0, 1)))
        await asyncio.sleep(60)


async def spend(desk: Desk, tokens: list[str]) -> None:
    for token in tokens:
        await desk.carryouts.gate.use(shown(token))
        say(f"out {token}")


def say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), int(sys.argv[2])))
