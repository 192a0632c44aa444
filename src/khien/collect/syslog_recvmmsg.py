"""Many datagrams a system call: Linux' recvmmsg(2) through ctypes."""

from __future__ import annotations

import ctypes
import errno
import os
import socket
import struct
from collections.abc import Callable

MSG_WAITFORONE = 0x10000
BATCH = 256
LARGEST = 65_536
_NAME = 28  # sizeof(struct sockaddr_in6)


class _Vector(ctypes.Structure):
    _fields_ = (("base", ctypes.c_void_p), ("length", ctypes.c_size_t))


class _Header(ctypes.Structure):
    _fields_ = (
        ("name", ctypes.c_void_p),
        ("name_length", ctypes.c_uint),
        ("vectors", ctypes.c_void_p),
        ("vector_count", ctypes.c_size_t),
        ("control", ctypes.c_void_p),
        ("control_length", ctypes.c_size_t),
        ("flags", ctypes.c_int),
    )


class _Message(ctypes.Structure):
    _fields_ = (("header", _Header), ("length", ctypes.c_uint))


class Datagrams:
    """Receives up to `BATCH` datagrams of a socket at once; the GIL is free while it waits."""

    def __init__(self, handle: socket.socket) -> None:
        self._handle = handle.fileno()
        self._data = ctypes.create_string_buffer(BATCH * LARGEST)
        self._names = ctypes.create_string_buffer(BATCH * _NAME)
        self._vectors = (_Vector * BATCH)()
        self._messages = (_Message * BATCH)()
        data, names = ctypes.addressof(self._data), ctypes.addressof(self._names)
        vectors = ctypes.addressof(self._vectors)
        for at in range(BATCH):
            self._vectors[at] = _Vector(data + at * LARGEST, LARGEST)
            header = _Header(names + at * _NAME, _NAME, vectors + at * ctypes.sizeof(_Vector), 1, None, 0, 0)
            self._messages[at] = _Message(header, 0)
        self._bytes = memoryview(self._data).cast("B")
        self._senders = memoryview(self._names).cast("B")
        words = memoryview(self._messages).cast("B").cast("I")
        step = ctypes.sizeof(_Message) // 4
        self._lengths = words[_Message.length.offset // 4 :: step]
        # A sender's address without its port, which may differ for every message.
        self._address = slice(8, 24) if handle.family == socket.AF_INET6 else slice(4, 8)
        call = ctypes.CDLL(None, use_errno=True).recvmmsg
        call.argtypes = (ctypes.c_int, ctypes.c_void_p, ctypes.c_uint, ctypes.c_int, ctypes.c_void_p)
        self._call: Callable[..., int] = call

    def receive(self, flags: int = MSG_WAITFORONE) -> list[tuple[bytes, bytes]]:
        """(packed IP address of the sender, data) of each datagram; [] when none came in time.

        Raises OSError.
        """
        count = self._call(self._handle, ctypes.byref(self._messages), BATCH, flags, None)
        if count < 0:
            code = ctypes.get_errno()
            if code in (errno.EAGAIN, errno.EINTR):
                return []
            raise OSError(code, os.strerror(code))
        data, senders, lengths, address = self._bytes, self._senders, self._lengths, self._address
        first, last = address.start, address.stop
        return [
            (
                bytes(senders[at * _NAME + first : at * _NAME + last]),
                bytes(data[at * LARGEST : at * LARGEST + lengths[at]]),
            )
            for at in range(count)
        ]


def receive_time_out(handle: socket.socket, seconds: float) -> None:
    """Let a blocking receive of this socket return empty after some time."""
    whole = int(seconds)
    value = struct.pack("ll", whole, int((seconds - whole) * 1e6))
    handle.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, value)


def widen(handle: socket.socket, size: int) -> int:
    """Ask for a kernel receive buffer of `size` bytes, beyond the system's limit where allowed; what was given."""
    force = getattr(socket, "SO_RCVBUFFORCE", 33)
    try:
        handle.setsockopt(socket.SOL_SOCKET, force, size)
    except OSError:
        handle.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, size)
    return handle.getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF) // 2


def kernel_drops(handle: socket.socket) -> int | None:
    """How many datagrams the kernel dropped because the socket's buffer was full; None if it does not say."""
    inode = str(os.fstat(handle.fileno()).st_ino)
    table = "udp6" if handle.family == socket.AF_INET6 else "udp"
    try:
        with open(f"/proc/self/net/{table}", encoding="ascii") as lines:  # noqa: PTH123
            for line in lines:
                words = line.split()
                if len(words) > 12 and words[9] == inode:
                    return int(words[12])
    except (OSError, ValueError):
        return None
    return None
