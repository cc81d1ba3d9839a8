"""What a hostile driver would try. Loaded as a driver, in a child that is confined like a bundled one.

Each probe raises where it was denied and returns where it got through. Its `Watch` answers with one `Probe` whose data
is JSON: probe -> errno's name, or the exception's, or "REACHED".
"""

from __future__ import annotations

import ctypes
import errno
import fcntl
import json
import mmap
import os
import resource
import socket
import stat
import termios
import threading
from collections.abc import AsyncGenerator, Callable, Mapping
from pathlib import Path

from authd.driver import Ask, Event, Op, Probe, Reader

NONCE = "00" * 16
LIBC = ctypes.CDLL(None, use_errno=True)
PTRACE_SEIZE = 0x4206
"""Unlike PTRACE_ATTACH it does not stop its victim, should it get through."""


def call(name: str, *args: object) -> None:
    """Make a raw system call. Raises `OSError`."""
    import pyseccomp  # pyright: ignore[reportMissingTypeStubs]  # it has annotations, but no py.typed

    number = pyseccomp.resolve_syscall(pyseccomp.system_arch(), name)
    if LIBC.syscall(number, *args) == -1:
        raise OSError(ctypes.get_errno(), name)


class Attempts:
    """The probes, by name; `settings` say where the secret, the door and core are."""

    def __init__(self, settings: Mapping[str, str]) -> None:
        self.secret, self.door, self.core = Path(settings["secret"]), settings["door"], int(settings["core"])
        self.memory = int(settings["memory_mb"]) << 20
        self.fifo = settings["fifo"]

    # Files.

    def read_a_secret(self) -> None:
        self.secret.read_bytes()

    def read_a_secret_by_another_path(self) -> None:
        os.open(f"/proc/self/root{self.secret}", os.O_RDONLY)

    def list_a_home(self) -> None:
        list(self.secret.parent.iterdir())

    def read_passwords(self) -> None:
        Path("/etc/passwd").read_bytes()

    def write_a_file(self) -> None:
        Path("/tmp/authd-escape").write_text("x")

    def append_to_the_secret(self) -> None:
        with self.secret.open("ab") as file:
            file.write(b"x")

    def write_into_the_project(self) -> None:
        os.open(__file__, os.O_WRONLY)

    def write_what_it_may_read(self) -> None:
        os.open(self.fifo, os.O_WRONLY | os.O_NONBLOCK)

    def make_a_folder(self) -> None:
        Path("/tmp/authd-escape-folder").mkdir()

    def make_a_link(self) -> None:
        os.symlink("/", "/tmp/authd-escape-link")  # noqa: PTH211  # one call

    def remove_the_secret(self) -> None:
        self.secret.unlink()

    def rename_the_secret(self) -> None:
        self.secret.rename("/tmp/authd-escape-secret")

    def open_the_secret_to_all(self) -> None:
        self.secret.chmod(0o666)

    def share_memory_by_name(self) -> None:
        os.open("/dev/shm/authd-escape", os.O_CREAT | os.O_RDWR)

    def open_a_device(self) -> None:
        os.open("/dev/zero", os.O_RDONLY)

    def open_the_kernels_log(self) -> None:
        os.open("/dev/kmsg", os.O_RDONLY)

    # Network and sockets.

    def internet(self) -> None:
        socket.socket(socket.AF_INET)

    def internet_6(self) -> None:
        socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)

    def netlink(self) -> None:
        socket.socket(socket.AF_NETLINK, socket.SOCK_RAW)

    def raw_packets(self) -> None:
        socket.socket(socket.AF_PACKET, socket.SOCK_RAW)

    def datagram_from_a_pair(self) -> None:
        """A pair is allowed, but one of datagrams could send to any path."""
        one, _ = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
        one.sendto(b"x", self.door)

    def abstract_socket(self) -> None:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as client:
            client.connect(f"\0{self.door}")

    def listen_to_others(self) -> None:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as server:
            server.bind("/tmp/authd-escape.sock")

    def the_door(self) -> None:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as client:
            client.connect(self.door)

    # Other processes.

    def signal_core(self) -> None:
        os.kill(self.core, 0)

    def signal_a_thread_of_core(self) -> None:
        call("tgkill", self.core, self.core, 0)

    def signal_core_by_descriptor(self) -> None:
        os.pidfd_open(self.core)

    def trace_core(self) -> None:
        if LIBC.ptrace(PTRACE_SEIZE, self.core, None, None) == -1:
            raise OSError(ctypes.get_errno(), "ptrace")

    def read_cores_memory(self) -> None:
        os.open(f"/proc/{self.core}/mem", os.O_RDONLY)

    def read_cores_memory_by_call(self) -> None:
        call("process_vm_readv", self.core, None, 0, None, 0, 0)

    def read_cores_environment(self) -> None:
        Path(f"/proc/{self.core}/environ").read_bytes()

    def take_cores_descriptors(self) -> None:
        list(Path(f"/proc/{self.core}/fd").iterdir())

    def slow_core_down(self) -> None:
        os.setpriority(os.PRIO_PROCESS, self.core, 10)

    # New processes and code.

    def execute_a_shell(self) -> None:
        os.execv("/bin/sh", ["sh", "-c", "exit 0"])

    def fork(self) -> None:
        if os.fork() == 0:
            os._exit(0)

    def vfork(self) -> None:
        call("clone", 0x4111, 0, 0, 0, 0)

    def clone_by_the_new_call(self) -> None:
        call("clone3", None, 0)

    def start_a_thread(self) -> None:
        try:
            threading.Thread(target=int).start()
        except RuntimeError as error:
            raise PermissionError(errno.EPERM, str(error)) from None

    def executable_memory(self) -> None:
        mmap.mmap(-1, 4096, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)

    def file_in_memory(self) -> None:
        os.memfd_create("x")

    # The kernel.

    def mount(self) -> None:
        call("mount", b"none", b"/mnt", b"tmpfs", 0, None)

    def new_namespace(self) -> None:
        call("unshare", 0x10000000)

    def change_root(self) -> None:
        os.chroot("/")

    def bpf(self) -> None:
        call("bpf", 0, None, 0)

    def io_uring(self) -> None:
        call("io_uring_setup", 1, None)

    def keys_of_the_kernel(self) -> None:
        call("keyctl", 0, -3, 0)

    def performance_counters(self) -> None:
        call("perf_event_open", None, 0, -1, -1, 0)

    def page_faults(self) -> None:
        call("userfaultfd", 0)

    def type_on_a_terminal(self) -> None:
        fcntl.ioctl(0, termios.TIOCSTI, b"x")

    # Limits and privileges.

    def more_memory_than_allowed(self) -> None:
        bytearray(self.memory)

    def more_descriptors_than_allowed(self) -> None:
        held: list[int] = []
        try:
            held.extend(os.dup(0) for _ in range(300))
        finally:
            for fd in held:
                os.close(fd)

    def raise_a_limit(self) -> None:
        try:
            resource.setrlimit(resource.RLIMIT_CORE, (1, 1))
        except ValueError as error:  # Python's word for EPERM
            raise PermissionError(errno.EPERM, str(error)) from None

    def be_dumpable(self) -> None:
        if LIBC.prctl(4, 1, 0, 0, 0) == -1:
            raise OSError(ctypes.get_errno(), "prctl")

    def become_another_user(self) -> None:
        os.setresuid(12345, 12345, 12345)

    def take_a_capability(self) -> None:
        header = (ctypes.c_uint32 * 2)(0x20080522, 0)
        call("capset", header, (ctypes.c_uint32 * 6)(0xFFFFFFFF, 0xFFFFFFFF, 0, 0xFFFFFFFF, 0xFFFFFFFF, 0))


def attempts() -> list[str]:
    """Names of the probes."""
    return [name for name, value in vars(Attempts).items() if callable(value) and not name.startswith("_")]


def outcome(attempt: Callable[[], None]) -> str:
    """Make one attempt and name how it ended."""
    try:
        attempt()
    except OSError as error:
        return errno.errorcode.get(error.errno or 0, "OSError")
    except MemoryError:
        return "MemoryError"
    return "REACHED"


def descriptors() -> list[str]:
    """Return the kinds of this process's open descriptors above stderr."""
    kinds: list[str] = []
    for fd in range(3, 300):
        try:
            mode = os.fstat(fd).st_mode
        except OSError:
            continue
        kinds.append("socket" if stat.S_ISSOCK(mode) else "file" if stat.S_ISREG(mode) else "other")
    return kinds


def everything(settings: Mapping[str, str], names: list[str]) -> dict[str, object]:
    """Make the attempts; also say what was inherited."""
    tried = Attempts(settings)
    found: dict[str, object] = {name: outcome(getattr(tried, name)) for name in names}
    return {**found, "descriptors": descriptors(), "environment": sorted(os.environ)}


class Hostile:
    """Tries everything when it is watched."""

    def __init__(self, settings: Mapping[str, str]) -> None:
        self._settings = settings

    async def open(self) -> None:
        return

    async def run(self, op: Op, ask: Ask) -> AsyncGenerator[Event, None]:
        del op, ask
        yield Probe(json.dumps(everything(self._settings, attempts())).encode(), 1.0, NONCE)

    async def close(self) -> None:
        return


def READER(settings: Mapping[str, str]) -> Reader:
    return Hostile(settings)
