"""The confinement of the unit without systemd: read from the file, expanded by systemd's own groups, put on a process.

python -m tests.packaging.unit UNIT COMMAND ...
"""

from __future__ import annotations

import ctypes
import errno
import os
import resource
import socket
import subprocess
import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

UNIT = Path(__file__).parents[2] / "packaging" / "authd-seat.service"
PROT_WRITE, PROT_EXEC = 2, 4
NAMESPACES = 0x7E020080
"""Every CLONE_NEW* flag."""


def settings(unit: Path) -> Mapping[str, Sequence[str]]:
    """Every value of each setting of [Service], in order."""
    found: dict[str, list[str]] = {}
    section = ""
    for line in unit.read_text(encoding="utf-8").splitlines():
        if line.startswith("["):
            section = line
        elif section == "[Service]" and "=" in line and not line.startswith("#"):
            name, _, value = line.partition("=")
            found.setdefault(name, []).append(value)
    return found


def groups() -> Mapping[str, Sequence[str]]:
    """Groups of system calls, as systemd prints them."""
    said = subprocess.run(["systemd-analyze", "syscall-filter"], check=True, capture_output=True, text=True).stdout
    found: dict[str, list[str]] = {}
    members: list[str] = []
    for line in said.splitlines():
        word = line.strip()
        if word.startswith("@") and not line.startswith(" "):
            found[word] = members = list[str]()
        elif word and not word.startswith("#"):
            members.append(word)
    return found


def calls(unit: Path) -> set[str]:
    """What `SystemCallFilter=` allows: lines in order, `~` takes away."""
    known = groups()
    allowed = {"execve", "exit", "exit_group", "getrlimit", "rt_sigreturn", "sigreturn"}

    def expanded(word: str) -> set[str]:
        return union(known[word]) if word.startswith("@") else {word}

    def union(words: Iterable[str]) -> set[str]:
        return {call for word in words for call in expanded(word)}

    for line in settings(unit)["SystemCallFilter"]:
        words = union(line.removeprefix("~").split())
        allowed = allowed - words if line.startswith("~") else allowed | words
    return allowed


def confine(unit: Path) -> None:
    """Put on this process what the unit would: filter, no privilege, no capability, no memory to write and execute."""
    given = settings(unit)
    libc = ctypes.CDLL(None, use_errno=True)
    for capability in range(64):
        libc.prctl(24, capability, 0, 0, 0)
    assert libc.prctl(38, 1, 0, 0, 0) == 0
    header = (ctypes.c_uint32 * 2)(0x20080522, 0)
    assert libc.capset(header, (ctypes.c_uint32 * 6)()) == 0
    os.umask(int(given["UMask"][-1], 8))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    files = int(given["LimitNOFILE"][-1])
    resource.setrlimit(resource.RLIMIT_NOFILE, (files, files))
    _filter(calls(unit), given["RestrictAddressFamilies"][-1].split())


def _filter(allowed: set[str], families: Sequence[str]) -> None:
    import pyseccomp as sc  # pyright: ignore[reportMissingTypeStubs]  # it has annotations, but no py.typed

    rules: Any = sc.SyscallFilter(sc.ERRNO(errno.EPERM))
    native = sc.system_arch()
    for call in allowed - {"mmap", "mprotect", "pkey_mprotect", "shmat", "socket", "clone", "clone3"}:
        if sc.resolve_syscall(native, call) >= 0:
            rules.add_rule(sc.ALLOW, call)
    rules.add_rule(sc.ALLOW, "mmap", sc.Arg(2, sc.MASKED_EQ, PROT_EXEC, 0))  # MemoryDenyWriteExecute=
    rules.add_rule(sc.ALLOW, "mmap", sc.Arg(2, sc.MASKED_EQ, PROT_WRITE, 0))
    rules.add_rule(sc.ALLOW, "mprotect", sc.Arg(2, sc.MASKED_EQ, PROT_EXEC, 0))
    for family in families:
        rules.add_rule(sc.ALLOW, "socket", sc.Arg(0, sc.EQ, int(getattr(socket, family))))
    rules.add_rule(sc.ALLOW, "clone", sc.Arg(0, sc.MASKED_EQ, NAMESPACES, 0))  # RestrictNamespaces=
    rules.add_rule(sc.ERRNO(errno.ENOSYS), "clone3")
    rules.load()


if __name__ == "__main__":
    confine(Path(sys.argv[1]))
    os.execv(sys.argv[2], sys.argv[2:])
