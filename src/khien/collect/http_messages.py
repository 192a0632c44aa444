"""Requests and answers of the HTTP collector, as values."""

from __future__ import annotations

from dataclasses import dataclass, field
from http import HTTPStatus

REASONS = {status.value: f"{status.value} {status.phrase}".encode() for status in HTTPStatus}


class Refusal(Exception):
    """Why a request is not taken: a status, a short reason for the counters, and a sentence for the sender.

    `retry` (seconds) becomes Retry-After. The sentence never holds anything of the body or of a key.
    """

    def __init__(self, status: int, reason: str, what: str, retry: int = 0) -> None:
        super().__init__(what)
        self.status = status
        self.reason = reason
        self.what = what
        self.retry = retry


@dataclass(slots=True)
class Request:
    """A request whose body has arrived. `path` has no query; header names are lower case."""

    method: str
    path: str
    query: str
    headers: dict[str, str]
    peer: str
    keep_alive: bool = True
    body: bytes = b""


@dataclass(slots=True)
class Answer:
    """What goes back."""

    status: int
    body: bytes = b""
    content_type: str = "application/json"
    headers: dict[str, str] = field(default_factory=dict)
    close: bool = False

    def encode(self, *, head_only: bool = False, keep_alive: bool = True) -> bytes:
        """The bytes to send; Content-Length is that of the body even where only the head is sent."""
        lines = [
            b"HTTP/1.1 " + REASONS.get(self.status, str(self.status).encode()),
            b"Content-Type: " + self.content_type.encode("latin-1"),
            b"Content-Length: " + str(len(self.body)).encode(),
        ]
        lines += [f"{name}: {value}".encode("latin-1") for name, value in self.headers.items()]
        if self.close or not keep_alive:
            lines.append(b"Connection: close")
        return b"\r\n".join(lines) + b"\r\n\r\n" + (b"" if head_only else self.body)
