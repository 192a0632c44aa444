"""How far a hunt has come, in a file: a hunt that was stopped goes on from there."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from hashlib import blake2b
from pathlib import Path
from typing import BinaryIO, Final

import msgspec

from khien.engine.hit import Hit
from khien.errors import Problem, UsageError
from khien.hunt.hunting import Tally
from khien.hunt.plans import HuntPlan
from khien.lake.files import DataFile

_VERSION: Final = 1
_encode = msgspec.msgpack.Encoder().encode


class State(msgspec.Struct):
    """A hunt through a lake. `since`, `until`: microseconds UTC. `written`, `hits`: bytes of the output and the hits.

    `files` are those of the lake when the hunt began, `done` the inputs that were searched whole, `rules` stands for
    the rules and their options.
    """

    lake: str
    output: str
    rules: str
    since: int | None
    until: int | None
    files: list[DataFile]
    done: list[str] = []
    written: int = 0
    hits: int = 0
    read: int = 0
    events: int = 0
    findings: int = 0
    seconds: float = 0.0
    problems: list[Problem] = []
    version: int = _VERSION


class Resumption:
    """The state in `file`, the hits in a file beside it, and the output, kept in step (see `Keeper`)."""

    def __init__(self, file: Path, state: State) -> None:
        self._file = file
        self.state = state
        self._hit_file = file.with_name(f"{file.name}.hits")
        self._hits: BinaryIO | None = None
        self._output: BinaryIO | None = None

    @classmethod
    def load(cls, file: Path, plan: HuntPlan, lake: str, output: Path) -> Resumption | None:
        """The hunt that was begun with this file; None when there is none.

        Raises UsageError when the file is no such state, or of another lake, output or other rules.
        """
        try:
            state = msgspec.json.decode(file.read_bytes(), type=State)
        except FileNotFoundError:
            return None
        except OSError as error:
            raise UsageError(f"cannot be read: {error.strerror}", str(file)) from error
        except msgspec.MsgspecError as error:
            raise UsageError("is not the state of a hunt", str(file), "Name a new file with --resume") from error
        asked = (lake, str(output.absolute()), rules_text(plan), _VERSION)
        if (state.lake, state.output, state.rules, state.version) != asked:
            what = "is the state of a hunt through another lake, with other rules, or to another output"
            raise UsageError(what, str(file), "Hunt as before, or name a new file with --resume")
        return cls(file, state)

    def open(self) -> BinaryIO:
        """The output, cut to what came of the inputs that are done. Raises UsageError."""
        try:
            self._output = _cut(Path(self.state.output), self.state.written)
            self._hits = _cut(self._hit_file, self.state.hits)
            self._save()
        except OSError as error:
            place = error.filename or self.state.output
            raise UsageError(f"cannot be gone on with: {error.strerror}", str(place)) from error
        return self._output

    def tally(self) -> Tally:
        """What came of the inputs that are done."""
        state = self.state
        return Tally(len(state.done), state.read, state.events, state.findings, state.seconds, 0, list(state.problems))

    def hits(self) -> Iterator[Hit]:
        """The hits of inputs that are done."""
        decoder = msgspec.msgpack.Decoder(Hit)
        left = self.state.hits
        with self._hit_file.open("rb") as stream:
            while left > 0:
                size = int.from_bytes(stream.read(4), "little")
                yield decoder.decode(stream.read(size))
                left -= size + 4

    def keep(self, hits: Iterable[Hit]) -> None:
        """Hits of the input at work."""
        assert self._hits is not None
        for hit in hits:
            data = _encode(hit)
            self._hits.write(len(data).to_bytes(4, "little") + data)

    def done(self, path: str, tally: Tally) -> None:
        """Bring output, hits and state to disk, in this order."""
        assert self._hits is not None
        assert self._output is not None
        state = self.state
        for stream in (self._output, self._hits):
            stream.flush()
            os.fsync(stream.fileno())
        state.done.append(path)
        state.written, state.hits = self._output.tell(), self._hits.tell()
        state.read, state.events, state.findings = tally.read, tally.events, tally.findings
        state.seconds, state.problems = tally.seconds, list(tally.problems)
        self._save()

    def close(self) -> None:
        """Close the files; the hunt can be gone on with."""
        for stream in (self._output, self._hits):
            if stream is not None:
                stream.close()

    def finish(self) -> None:
        """The hunt came to its end: nothing is left to go on with."""
        self.close()
        self._file.unlink(missing_ok=True)
        self._hit_file.unlink(missing_ok=True)

    def _save(self) -> None:
        part = self._file.with_name(f".{self._file.name}.part")
        with part.open("wb") as stream:
            stream.write(msgspec.json.encode(self.state))
            stream.flush()
            os.fsync(stream.fileno())
        part.replace(self._file)


def rules_text(plan: HuntPlan) -> str:
    """A text that stands for the rules of a hunt: equal for equal rules."""
    digest = blake2b(digest_size=16)
    for rule in (*plan.ruleset.rules, *plan.correlations):
        digest.update(repr(rule).encode("utf-8", "surrogatepass"))
    digest.update(repr((sorted(plan.reported), sorted(plan.suppressed))).encode())
    return digest.hexdigest()


def _cut(path: Path, size: int) -> BinaryIO:
    """A file to append to, at most this long."""
    stream = path.open("r+b" if path.exists() else "w+b")
    stream.truncate(size)
    stream.seek(0, os.SEEK_END)
    if stream.tell() != size:
        stream.close()
        raise OSError(0, "it is shorter than it was", str(path))
    return stream
