"""The bench: one process that holds every simulated device of a host and one text control socket.

    python -m authd_simulators.bench --dir RUN --vein vein-1 --presence presence-1 [--people 12] [--seed N]
                                     [--remote key-1=RUN/key-1.sock]

Each device has a cable `<dir>/<name>.cable`. `<dir>/control.sock` takes `<device> <COMMAND> ...`, `PEOPLE`, `STATUS` or
`HELP` on a line, and answers each with one line. Commands for a remote device go on to that device's own socket.
"""

from __future__ import annotations

import argparse
import asyncio
import random
import secrets
import signal
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType

import cv2

from authd_simulators.commands import bench_arguments
from authd_simulators.control import ControlSocket, error, ok
from authd_simulators.devices import CommandError, Device, PresenceSensor, RemoteDevice, VeinReaderDevice
from authd_simulators.people import Staff, population

MOST_DEVICES = 64
HELP = (
    "<device> PLUG | UNPLUG | HANG | SUSPEND | RESUME | SLOW <ms> | GARBAGE [bytes|frame|image|size] | AWAIT <ms>; "
    "vein: TOUCH|WET|DRY|SHORT|OFF_CENTRE|FAST <staff number> [finger] [hold|ms], "
    "WRONG [hold|ms], LIFT, PRINT <staff number> [finger] [laser|inkjet|film|sleeve] [hold|ms], "
    "SCREEN <staff number> [finger] [hold|ms], REPLAY [still|order|changed] [hold|ms]; "
    "presence: LEAVE | COME; PEOPLE; STATUS; HELP"
)


class Bench:
    """All simulated devices, plugged in on entering and out on leaving."""

    def __init__(
        self,
        folder: Path,
        veins: Sequence[str],
        presences: Sequence[str] = (),
        people: Sequence[Staff] = (),
        seed: int | None = None,
        remotes: Mapping[str, Path] | None = None,
    ) -> None:
        """Lay out the bench. `seed` None: no two benches ever see the same touch (a repeated one is a replay).

        remotes: control sockets of devices that are processes of their own.
        """
        self.remotes = {name: RemoteDevice(name, path) for name, path in (remotes or {}).items()}
        names = [*veins, *presences, *self.remotes]
        if len(set(names)) != len(names) or len(names) > MOST_DEVICES:
            raise ValueError(f"at most {MOST_DEVICES} devices, each with a name of its own")
        self.folder = folder
        self.people = tuple(people) or population()
        rng = random.Random(secrets.randbits(64) if seed is None else seed)
        self.devices: dict[str, Device] = {}
        for name in veins:
            self.devices[name] = VeinReaderDevice(name, self._cable(name), _split(rng), self.people)
        for name in presences:
            self.devices[name] = PresenceSensor(name, self._cable(name), _split(rng))
        self.control = ControlSocket(folder / "control.sock", self.obey)

    async def __aenter__(self) -> Bench:
        """Plug everything in."""
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        for device in self.devices.values():
            await device.plug()
        await self.control.open()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Unplug everything; no socket stays behind."""
        self.control.close()
        for device in self.devices.values():
            await device.unplug()

    async def obey(self, line: str) -> str:
        """Carry out one line and return its answer; no input whatever raises."""
        words = line.split()
        try:
            match [word.upper() for word in words]:
                case []:
                    return error("expected a command; HELP lists them")
                case ["HELP"]:
                    return ok(HELP)
                case ["PEOPLE"]:
                    return ok([_public(person) for person in self.people])
                case ["STATUS"]:
                    return ok(await self._status())
                case _:
                    return await self._device_command(words)
        except CommandError as refusal:
            return error(str(refusal))

    async def _device_command(self, words: Sequence[str]) -> str:
        device = self.devices.get(words[0]) or self.remotes.get(words[0])
        if device is None:
            raise CommandError(f"no device {words[0][:32]!r}; there are {', '.join([*self.devices, *self.remotes])}")
        if len(words) == 1:
            raise CommandError("expected a command after the device; HELP lists them")
        return ok(await device.obey(words[1:]))

    async def _status(self) -> dict[str, object]:
        remotes = await asyncio.gather(*(remote.status() for remote in self.remotes.values()))
        own: dict[str, object] = {name: device.status() for name, device in self.devices.items()}
        return own | dict(zip(self.remotes, remotes, strict=True))

    def _cable(self, name: str) -> Path:
        if not name.replace("-", "").replace("_", "").isalnum() or not name.isascii() or len(name) > 32:
            raise ValueError(f"{name[:40]!r} is no name for a device")
        return self.folder / f"{name}.cable"


def _split(rng: random.Random) -> random.Random:
    return random.Random(rng.getrandbits(64))


def _public(person: Staff) -> dict[str, str | bool]:
    return {
        "staff_number": person.staff_number,
        "name": person.name,
        "kana": person.kana,
        "section": person.section,
        "section_name": person.section_name,
        "officer": person.officer,
    }


def run(arguments: argparse.Namespace) -> int:
    """Hold the bench until SIGTERM or SIGINT; prints `ready` once a command would be obeyed."""
    cv2.setNumThreads(1)
    people = population(arguments.people)
    remotes = {name: Path(path) for name, _, path in (each.partition("=") for each in arguments.remote)}
    bench = Bench(arguments.dir, arguments.vein, arguments.presence, people, arguments.seed, remotes)
    asyncio.run(_hold(bench))
    return 0


async def _hold(bench: Bench) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    async with bench:
        print("ready", flush=True)
        await stop.wait()


def main() -> int:
    """Entry of `python -m authd_simulators.bench`."""
    parser = argparse.ArgumentParser(prog="authd_simulators.bench", description="Hold simulated devices.")
    bench_arguments(parser)
    return run(parser.parse_args())


if __name__ == "__main__":
    raise SystemExit(main())
