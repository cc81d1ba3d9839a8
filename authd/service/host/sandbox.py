"""Confines a child before any driver code runs: what a manifest does not name cannot be reached.

Layers, each enough alone for most of what a hostile driver would try:

- Landlock: files, devices and sockets by path; TCP (ABI 4); abstract sockets and signals (ABI 6); paths of sockets
  (ABI 9). The interpreter and site-packages may be read; nothing may be written or executed.
- seccomp: a closed list of system calls; every other fails with EPERM. No process is started (threads only where the
  manifest allows them), nothing is executed, no socket is made (AF_UNIX only where the manifest names one), no memory
  is both writable and executable, no signal goes to another process.
- Limits: address space, descriptors, no file may grow, no core dump; no capability, no new privilege, not dumpable;
  dies with core.

RLIMIT_NPROC is not used: it counts every process of the uid, and in the demo that is the person's desktop. A child
cannot start processes, and its threads are bounded by its address space.
"""

from __future__ import annotations

import ctypes
import ctypes.util
import os
import resource
import signal
import stat
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from importlib.machinery import PathFinder
from pathlib import Path
from typing import Any

from authd.core.model import Fault
from authd.driver import DriverError
from authd.service.host import syscalls
from authd.service.host.grants import Grants, Limits

_PR_SET_PDEATHSIG, _PR_SET_DUMPABLE, _PR_CAPBSET_DROP, _PR_SET_NO_NEW_PRIVS = 1, 4, 24, 38
_CAPABILITY_VERSION_3 = 0x20080522
_SYSTEM = (
    "/lib",
    "/lib64",
    "/usr/lib",
    "/usr/lib64",
    "/usr/local/lib",
    "/etc/ld.so.cache",
    "/dev/urandom",
    "/sys/devices/system/cpu",
)
_LIBRARIES = {"c": "libc.so.6", "seccomp": "libseccomp.so.2"}


class SandboxError(Exception):
    """Part of the sandbox cannot be set up, and the driver may not run without it."""


@dataclass(frozen=True, slots=True)
class Report:
    """What stands, and what this kernel could not give; logged at each start of a child."""

    in_force: tuple[str, ...]
    missing: tuple[str, ...]


def confine(grants: Grants, *, packages: Iterable[str], parent: int, strict: bool) -> Report:
    """Confine this process for good. `packages`: top-level packages it may import from outside `sys.prefix`.

    Raises `SandboxError` where `strict` and a layer is missing, `DriverError` where something granted is not there.
    Call it with one thread only: Landlock and seccomp apply to the calling thread and what it starts.
    """
    # pyseccomp and landlockpy find libc through `ldconfig` or `gcc`; the names are known, so no process is started.
    ctypes.util.find_library = _LIBRARIES.get  # type: ignore[assignment]  # the stub's is overloaded, by platform
    folders, parents = _narrow_path(packages)
    _tie_to(parent)
    _limit(grants.limits)
    _drop_privileges()
    files, gaps = _landlock(grants, folders, parents)
    calls, unfiltered = _seccomp(grants)
    missing = [each for each in (None if files else gaps[0], unfiltered) if each]
    if missing and strict:
        raise SandboxError("; ".join(missing))
    in_force = ("no new privileges", "no capability", "not dumpable", "limits", *files, *calls)
    return Report(in_force, tuple(gaps) + ((unfiltered,) if unfiltered else ()))


def _tie_to(parent: int) -> None:
    _prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:  # it died before the line above
        raise SandboxError("core is gone")


def _limit(limits: Limits) -> None:
    space = limits.memory_mb << 20
    for what, bound in (
        (resource.RLIMIT_AS, space),
        (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_FSIZE, 0),
        (resource.RLIMIT_NOFILE, limits.files),
    ):
        resource.setrlimit(what, (bound, bound))


def _drop_privileges() -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    for capability in range(64):  # as long as there is one, and it may be dropped: only root has any
        if libc.prctl(_PR_CAPBSET_DROP, capability, 0, 0, 0) != 0:
            break
    _prctl(_PR_SET_NO_NEW_PRIVS, 1)
    header = (ctypes.c_uint32 * 2)(_CAPABILITY_VERSION_3, 0)
    if libc.capset(header, (ctypes.c_uint32 * 6)()) != 0:
        raise SandboxError(f"capset: {os.strerror(ctypes.get_errno())}")
    _prctl(_PR_SET_DUMPABLE, 0)


def _prctl(option: int, value: int) -> None:
    if ctypes.CDLL(None, use_errno=True).prctl(option, value, 0, 0, 0) != 0:
        raise SandboxError(f"prctl {option}: {os.strerror(ctypes.get_errno())}")


def _narrow_path(packages: Iterable[str]) -> tuple[list[str], list[str]]:
    """Take out of `sys.path` what is not needed (an editable install brings whole repositories).

    Returns the packages' folders outside the interpreter's prefix, and the folders that the import system must list to
    find those not yet imported.
    """
    folders, parents = list[str](), list[str]()
    for name in packages:
        spec = PathFinder.find_spec(name)
        outside = [each for each in (spec and spec.submodule_search_locations) or () if not _inside(each, _prefixes())]
        folders += outside
        parents += [str(Path(each).parent) for each in outside if name not in sys.modules]
    sys.path[:] = [entry for entry in sys.path if entry in parents or _inside(entry, _prefixes())]
    return folders, parents


def _prefixes() -> list[str]:
    return [str(Path(prefix)) for prefix in {sys.prefix, sys.base_prefix}]


def _inside(path: str, roots: Iterable[str]) -> bool:
    return any(Path(path).is_relative_to(root) for root in roots)


def _readable(folders: Iterable[str]) -> Iterator[str]:
    """Yield what lazy imports need: the standard library, installed packages, shared libraries, granted packages."""
    candidates = (str(Path(prefix, "lib")) for prefix in _prefixes())
    for path in (*candidates, *_SYSTEM, *folders):
        if Path(path).exists():
            yield path


def _landlock(grants: Grants, folders: list[str], parents: list[str]) -> tuple[list[str], list[str]]:
    """Return what stands, and what is missing."""
    import landlockpy as ll

    abi = ll.abi_version()
    if abi < 1:
        return [], ["landlock: not in this kernel"]
    read = ll.AccessFS.READ_FILE | ll.AccessFS.READ_DIR
    write = ll.AccessFS.READ_FILE | ll.AccessFS.WRITE_FILE | ll.AccessFS.IOCTL_DEV
    with ll.Ruleset(scoped=ll.Scope.ABSTRACT_UNIX_SOCKET | ll.Scope.SIGNAL) as rules:
        for path in _readable(folders):
            rules.allow_path(path, read if Path(path).is_dir() else ll.AccessFS.READ_FILE)
        for path in parents:
            rules.allow_path(path, ll.AccessFS.READ_DIR)
        for path, access in _granted(grants, read, write, ll.AccessFS.RESOLVE_UNIX):
            rules.allow_path(path, access if Path(path).is_dir() else access & ~ll.AccessFS.READ_DIR)
        rules.restrict()
    names = [name for name, since in (("tcp", 4), ("device ioctl", 5), ("scopes", 6)) if abi >= since]
    gap = [f"unix sockets by path: Landlock ABI 9, here {abi}"] if grants.unix_sockets and abi < 9 else []
    return [f"landlock ABI {abi}: files" + "".join(f", {name}" for name in names)], gap


def _granted(grants: Grants, read: Any, write: Any, connect: Any) -> Iterator[tuple[str, Any]]:
    yield "/dev/null", write
    for path in grants.devices:
        if not Path(path).exists():
            continue  # not plugged in: its driver says so, or waits for it and then ends, for a child that may open it
        if not stat.S_ISCHR(_present(path).st_mode):
            raise DriverError(Fault.NOT_PERMITTED, f"{path} is not a device")
        yield path, write
    for path in grants.read:
        _present(path)
        yield path, read
    for path in grants.unix_sockets:
        # The folder's rule: a service that starts anew makes another socket of that name. No folder: nothing to reach.
        if Path(path).parent.is_dir():
            yield str(Path(path).parent), connect


def _present(path: str) -> os.stat_result:
    try:
        return Path(path).stat()
    except OSError as error:
        raise DriverError(Fault.REMOVED, f"{path}: {error.strerror}") from None


def _seccomp(grants: Grants) -> tuple[list[str], str | None]:
    try:
        syscalls.load(grants)
    except (ImportError, OSError, RuntimeError) as error:
        return [], f"seccomp: {error}"
    return ["seccomp: closed list"], None
