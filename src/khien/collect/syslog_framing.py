"""Where a syslog message ends on a stream: RFC 6587, octet-counted and newline framing."""

from __future__ import annotations

import re

from khien.collect.line_bounds import bounded
from khien.errors import KhienError

MAX_COUNT_DIGITS = 8
"""Longest octet count taken, in digits: a frame announced with 100 MB or more is wrong framing."""

_BLANK = b"\n\r\x00"
_COUNTED = re.compile(rb"[1-9][0-9]{0,7} <")
_MAYBE_COUNTED = re.compile(rb"[1-9][0-9]{0,7} ?\Z")
_TLS_HELLO = b"\x16\x03"


class FramingError(KhienError):
    """The bytes of a connection are no syslog framing; what comes after cannot be told apart.

    `lines` is what came before (whole lines, how many), and the bytes not understood as a last line.
    """

    def __init__(self, what: str, lines: tuple[bytes, int] = (b"", 0)) -> None:
        super().__init__(what, remedy="Send octet-counted or newline-terminated messages (RFC 6587)")
        self.lines = lines


def one_line(message: bytes) -> bytes:
    """A message as one line: ends stripped, inner line feeds as `#012`, as rsyslog writes them."""
    message = message.strip(_BLANK)
    return message.replace(b"\n", b"#012") if b"\n" in message else message


class Framer:
    """Bytes of one connection to whole lines, each message a line, in bounded memory.

    Which framing a sender uses is told by its first bytes: a count, a space and `<` is octet
    counting, all else newline framing. Between counted frames, blank bytes are skipped and a
    frame that begins with `<` is read up to its line feed. A message longer than `max_line`
    bytes is cut off there, and counted in `oversized`.
    """

    __slots__ = ("_counted", "_discard", "_need", "_rest", "_skip_line", "max_line", "oversized", "told")

    def __init__(self, max_line: int) -> None:
        self.max_line = max_line
        self.oversized = 0
        self.told: bool = False
        self._counted = False
        self._rest = bytearray()  # begins at the start of a message
        self._need = 1  # how long the rest must be before looking at it again is worth it
        self._discard = 0  # bytes still to come of a counted message that was cut off
        self._skip_line = False  # the line that was cut off has not ended

    @property
    def held(self) -> int:
        """Bytes of a message that has not ended."""
        return len(self._rest)

    @property
    def amid(self) -> bool:
        """Whether a message has begun and not ended."""
        return bool(self._rest) or self._skip_line or self._discard > 0

    @property
    def counted(self) -> bool:
        """Whether this connection counts octets."""
        return self._counted

    def feed(self, data: bytes) -> tuple[bytes, int]:
        """(whole lines, each with its line feed; how many) that `data` completes.

        Raises FramingError, after which nothing may be fed.
        """
        if not self.told:
            self.told = self._tell(data)
            if not self.told:
                return b"", 0
            data = bytes(self._rest)
            self._rest.clear()
        return self._feed_counted(data) if self._counted else self._feed_lines(data)

    def remains(self) -> tuple[bytes, int]:
        """The beginning of a message that will not end any more, as a line; (b"", 0) if none."""
        if self._discard or self._skip_line:
            return b"", 0
        line = one_line(bytes(self._rest[: self.max_line]))
        self._rest.clear()
        return (line + b"\n", 1) if line else (b"", 0)

    def _tell(self, data: bytes) -> bool:
        self._rest = (self._rest + data).lstrip(_BLANK)
        head = bytes(self._rest[:16])
        if head.startswith(_TLS_HELLO):
            self._rest.clear()
            raise FramingError("a TLS handshake on a port without TLS")
        self._counted = _COUNTED.match(head) is not None
        return bool(head) and not _MAYBE_COUNTED.match(head)

    def _feed_lines(self, data: bytes) -> tuple[bytes, int]:
        cut = data.rfind(b"\n") + 1
        if self._skip_line:
            first = data.find(b"\n") + 1
            if not first:
                return b"", 0
            self._skip_line = False
            data, cut = data[first:], cut - first
        if not cut:
            self._rest += data
            return self._cut_rest()
        block = bytes(self._rest) + data[:cut] if self._rest else data[:cut]
        self._rest[:] = data[cut:]
        if len(block) > self.max_line:
            block, cut_off = bounded(block, self.max_line)
            self.oversized += cut_off
        if b"\n\n" in block or b"\n\r\n" in block or block[0] in _BLANK:
            lines = [line for line in block.split(b"\n") if line.strip(_BLANK)]
            block = b"\n".join((*lines, b""))
        count = block.count(b"\n")
        if len(self._rest) > self.max_line:
            more, added = self._cut_rest()
            return block + more, count + added
        return block, count

    def _cut_rest(self) -> tuple[bytes, int]:
        if len(self._rest) <= self.max_line:
            return b"", 0
        self.oversized += 1
        line = bytes(self._rest[: self.max_line])
        self._rest.clear()
        self._skip_line = True
        return line + b"\n", 1

    def _feed_counted(self, data: bytes) -> tuple[bytes, int]:
        if self._discard:
            left = self._discard - len(data)
            if left >= 0:
                self._discard = left
                return b"", 0
            data, self._discard = data[self._discard :], 0
        if self._rest:
            self._rest += data
            if len(self._rest) < self._need:
                return b"", 0
            if self._rest[0] == 60 and b"\n" not in data and len(self._rest) <= self.max_line:
                return b"", 0
            data = bytes(self._rest)
            self._rest.clear()
        out: list[bytes] = []
        try:
            at = self._frames(data, out)
        except _Broken as broken:
            self._rest[:] = data[broken.at :]
            block, count = self._joined(out)
            more, added = self.remains()
            lines = (block + more, count + added)
            raise FramingError("a message begins neither with its length nor with <", lines) from None
        self._rest[:] = data[at:]
        return self._joined(out)

    @staticmethod
    def _joined(out: list[bytes]) -> tuple[bytes, int]:
        if not out:
            return b"", 0
        block = b"\n".join((*out, b""))
        if block.count(b"\n") != len(out) or b"\n\n" in block or block[0] == 10:
            out = [line for message in out if (line := one_line(message))]
            block = b"\n".join((*out, b"")) if out else b""
        return block, len(out)

    def _frames(self, data: bytes, out: list[bytes]) -> int:
        """Where the first unfinished message begins."""
        find, take, size, most = data.find, out.append, len(data), self.max_line
        at = 0
        while at < size:
            start = at
            space = find(b" ", at, at + MAX_COUNT_DIGITS + 1)
            head = data[at:space] if space > 0 else b""
            if not head.isdigit() or head[0] == 48:
                if data[at] in _BLANK:
                    at += 1
                    continue
                end = self._irregular(data, at, out)
                if end < 0:
                    return at
                at = end
                continue
            length = int(head)
            begin = space + 1
            if length > most:
                if size - begin < most:
                    self._need = begin - start + most
                    return start
                self.oversized += 1
                take(data[begin : begin + most])
                at = begin + length
                if at > size:
                    self._discard = at - size
                    return size
                continue
            at = begin + length
            if at > size:
                self._need = at - start
                return start
            take(data[begin:at])
        return size

    def _irregular(self, data: bytes, at: int, out: list[bytes]) -> int:
        """Take a message without a count up to its line feed; -1 where it has not ended."""
        start = data[at]
        if start == 60:  # <
            end = data.find(b"\n", at)
            self._need = len(data) - at + 1
            if end < 0 and len(data) - at <= self.max_line:
                return -1
            if end < 0 or end - at > self.max_line:
                raise _Broken(at)
            out.append(data[at:end])
            return end + 1
        if 49 <= start <= 57 and len(data) - at <= MAX_COUNT_DIGITS and data[at:].isdigit():
            self._need = len(data) - at + 1
            return -1
        raise _Broken(at)


class _Broken(Exception):
    def __init__(self, at: int) -> None:
        self.at = at
