"""Responses that save a file, piece by piece, whatever its size and whichever server answers."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable, Iterator
from typing import IO

from django.http import FileResponse
from django.http.response import StreamingHttpResponse
from django.utils.http import content_disposition_header


class Pieces(StreamingHttpResponse):
    """Streams an ordinary iterator under ASGI too, where Django would first read it to its end into memory."""

    async def __aiter__(self) -> AsyncIterator[bytes]:
        """One piece after the other, each fetched in a thread."""
        pieces: Iterator[bytes] = iter(self.streaming_content)
        while (piece := await asyncio.to_thread(next, pieces, None)) is not None:
            yield piece


class SavedFile(Pieces, FileResponse):
    """A file that is always saved, never shown: what was uploaded may be hostile."""

    block_size = 1 << 18

    def __init__(self, handle: IO[bytes], name: str) -> None:
        super().__init__(handle, as_attachment=True, filename=name)
        _harmless(self)


class SavedPieces(Pieces):
    """The same for what is made while it is sent."""

    def __init__(self, pieces: Iterable[bytes], name: str) -> None:
        super().__init__(pieces)
        self["Content-Disposition"] = content_disposition_header(True, name)
        _harmless(self)


def _harmless(response: StreamingHttpResponse) -> None:
    """No browser guesses what it is, runs it, or keeps it."""
    response["Content-Type"] = "application/octet-stream"
    response["Content-Security-Policy"] = "sandbox; default-src 'none'"
    response["X-Content-Type-Options"] = "nosniff"
    response["Cache-Control"] = "private, no-store"
