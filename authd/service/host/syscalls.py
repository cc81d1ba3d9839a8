"""The closed list of system calls of a child; every other fails with EPERM.

What Python, its event loop, numpy and OpenCV need to compute, to wait and to read: found by running them under it. No
call makes a process, a file, a socket (unless a Unix socket is granted), a mount, a namespace or executable data.
"""

from __future__ import annotations

import errno
import os
import socket
from typing import Any

from authd.service.host.grants import Grants

_CALLS = """
read readv pread64 write writev pwrite64 lseek close close_range dup dup2 dup3 fcntl pipe2 eventfd2
stat fstat lstat newfstatat statx statfs fstatfs access faccessat faccessat2 readlink readlinkat getdents64 getcwd
poll ppoll select pselect6 epoll_create1 epoll_ctl epoll_wait epoll_pwait timerfd_create timerfd_settime
brk munmap mremap madvise mlock munlock fadvise64 flock
rt_sigaction rt_sigprocmask rt_sigreturn sigaltstack
clock_gettime clock_getres clock_nanosleep nanosleep gettimeofday times
futex futex_waitv set_robust_list get_robust_list set_tid_address rseq membarrier restart_syscall arch_prctl
sched_yield sched_getaffinity sched_getparam sched_getscheduler sched_get_priority_max sched_get_priority_min getcpu
getpid getppid gettid getuid geteuid getgid getegid getresuid getresgid getgroups getpgrp getpgid getsid
getrandom getrusage sysinfo uname capget exit exit_group
recvfrom recvmsg sendmsg shutdown getsockopt setsockopt getsockname getpeername
"""
"""Allowed with any arguments. The socket calls reach only the inherited channel and pairs made by the child itself."""

_PROT_WRITE, _PROT_EXEC, _CLONE_THREAD = 2, 4, 0x10000
_PR_SET_NAME, _PR_GET_NAME = 15, 16
_TIOCSTI = 0x5412
_HARMLESS_IOCTLS = (0x5401, 0x541B, 0x5421, 0x5450, 0x5451)  # TCGETS, FIONREAD, FIONBIO, FIONCLEX, FIOCLEX
_SOCKET_TYPE = 0xF


def load(grants: Grants) -> None:
    """Install the filter on this thread and what it starts. Raises `OSError`, `RuntimeError`, `ImportError`."""
    import pyseccomp as sc  # pyright: ignore[reportMissingTypeStubs]  # it has annotations, but no py.typed

    rules = sc.SyscallFilter(sc.ERRNO(errno.EPERM))
    rules.set_attr(sc.Attr.ACT_BADARCH, sc.KILL_PROCESS)
    native = sc.system_arch()

    def allow(call: str, *args: Any) -> None:
        if sc.resolve_syscall(native, call) >= 0:  # unknown to this libseccomp, or not of this machine: stays denied
            rules.add_rule(sc.ALLOW, call, *args)

    for call in _CALLS.split():
        allow(call)
    for call in ("mmap", "mprotect"):  # writable or executable, never both
        allow(call, sc.Arg(2, sc.MASKED_EQ, _PROT_EXEC, 0))
        allow(call, sc.Arg(2, sc.MASKED_EQ, _PROT_WRITE, 0))
    _files(sc, allow, grants)
    _sockets(sc, allow, grants)
    allow("tgkill", sc.Arg(0, sc.EQ, os.getpid()))  # abort() and raise() signal the process itself
    allow("prctl", sc.Arg(0, sc.EQ, _PR_SET_NAME))
    allow("prctl", sc.Arg(0, sc.EQ, _PR_GET_NAME))
    allow("prlimit64", sc.Arg(2, sc.EQ, 0))  # ask for a limit, never set one
    # clone3's flags lie in memory where no filter sees them; told that it does not exist, libc falls back to clone.
    rules.add_rule(sc.ERRNO(errno.ENOSYS), "clone3")
    if grants.limits.threads:
        allow("clone", sc.Arg(0, sc.MASKED_EQ, _CLONE_THREAD, _CLONE_THREAD))
    rules.load()


def _files(sc: Any, allow: Any, grants: Grants) -> None:
    making = os.O_CREAT | os.O_TRUNC | (os.O_TMPFILE & ~os.O_DIRECTORY)
    writing = 0 if grants.devices else os.O_ACCMODE
    allow("openat", sc.Arg(2, sc.MASKED_EQ, making | writing, 0))
    if grants.devices:
        allow("ioctl", sc.Arg(1, sc.NE, _TIOCSTI))
        return
    for request in _HARMLESS_IOCTLS:
        allow("ioctl", sc.Arg(1, sc.EQ, request))


def _sockets(sc: Any, allow: Any, grants: Grants) -> None:
    """No datagrams, even in a pair: such a socket can send to any path."""
    stream = sc.Arg(1, sc.MASKED_EQ, _SOCKET_TYPE, socket.SOCK_STREAM)
    unix = sc.Arg(0, sc.EQ, socket.AF_UNIX)
    allow("socketpair", unix, stream)  # the event loop wakes itself through one
    allow("sendto", sc.Arg(4, sc.EQ, 0))  # send() is sendto() without an address
    if grants.unix_sockets:
        allow("socket", unix, stream)
        allow("connect")
