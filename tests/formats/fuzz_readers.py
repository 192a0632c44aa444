"""Feeds mutated samples to every reader for some seconds, guided by coverage.

    python fuzz_readers.py SECONDS [SEED]

Ends with an exception's traceback and a nonzero code where a reader raises or takes longer than 5 s.
"""

from __future__ import annotations

import io
import os
import sys
import time
from contextlib import nullcontext
from typing import BinaryIO, cast

import atheris

with atheris.instrument_imports(include=["khien.formats", "khien.events"]):
    from khien.errors import InputError
    from khien.events.mapping import Classifier
    from khien.formats.archives import members
    from khien.formats.encodings import Peeked, Recoded, text_encoding
    from khien.formats.sniff import formats, sniff

SEEDS = [
    b'{"EventID":1,"Channel":"Microsoft-Windows-Sysmon/Operational","EventData":"<Data Name=\'Image\'>x</Data>"}\n[{"a":1}]',
    b'{"Records":[{"eventVersion":"1","eventSource":"a.amazonaws.com"}]}{"winlog":{"channel":"x","event_data":{}}}',
    b'{"_index":"a","_source":{"message":"Mar  2 01:02:03 h sudo: a : TTY=x ; PWD=/ ; USER=b ; COMMAND=c"}}',
    b"<Events><Event><System><Provider Name='P'/><EventID>1</EventID></System><UserData><a><b>c</b></a></UserData></Event>",
    b'<165>1 2026-03-02T01:02:03Z h app 1 ID [x@1 a="b\\"]"] text\nMar  2 01:02:03 h sshd[1]: Failed password for a from 1.2.3.4 port 5',
    b'type=SYSCALL msg=audit(1.0:1): arch=c000003e syscall=59 pid=1\ntype=EXECVE msg=audit(1.0:1): argc=2 a0="x" a1=414243',
    b"type=SOCKADDR msg=audit(1.0:2): saddr=0200115CC0000207\ntype=EOE msg=audit(1.0:2): ",
    b'1.2.3.4 - - [02/Mar/2026:08:02:03 +0700] "GET /a?b HTTP/1.1" 200 1 "-" "x"\n#Fields: date time cs-uri-stem\n1 2 /x',
    b"#separator \\x09\n#path\tdns\n#fields\tts\tx\n#types\ttime\tset[string]\n1.0\ta,b\n",
    b"CEF:0|a|b|c|d|e|f|cs1Label=x cs1=y\nLEEF:2.0|a|b|c|d|^|x=1^y=2",
    b'a,b,c\n1,"2\n3",4\n',
    b'date=2026-03-02 time=01:02:03 devid="x" logid="1" msg="a \\"b\\""',
    b"ElfFile\x00" + b"\x00" * 100,
    b"\xff\xfe{\x00}\x00",
]
LONGEST = 5.0
CLASSIFIER = Classifier.load()
READERS = list(formats().values())


def read(data: bytes, number: int) -> None:
    """Read the data in one format, in the format it is told to be, and as an archive."""
    for known in (READERS[number % len(READERS)], sniff(data)):
        if known is None or known.name == "evtx":
            continue
        for block in known.read(io.BytesIO(data), "x", lambda problem: None):
            for record in block.records:
                CLASSIFIER.classify(block.family, record)
    encoding = text_encoding(data)
    if encoding:
        while Peeked(cast(BinaryIO, Recoded(cast(BinaryIO, io.BytesIO(data)), encoding))).read(1 << 20):
            break
    for member in members("x", None, lambda: nullcontext(cast(BinaryIO, io.BytesIO(data))), lambda problem: None):
        try:
            with member.open() as stream:
                stream.read(1 << 20)
        except InputError:
            pass


def once(data: bytes) -> None:
    """One input of the fuzzer: its first byte chooses the reader."""
    began = time.monotonic()
    read(data[1:], data[0] if data else 0)
    if time.monotonic() - began > LONGEST:
        raise TimeoutError(f"took longer than {LONGEST} s: {data[:80]!r}")


def main() -> None:
    """Run for the seconds given."""
    seconds, seed = sys.argv[1], sys.argv[2] if len(sys.argv) > 2 else "1"
    folder = os.environ.get("KHIEN_FUZZ_CORPUS", "")
    atheris.Setup(
        [sys.argv[0], f"-max_total_time={seconds}", f"-seed={seed}", "-max_len=4096", "-verbosity=0", "-print_final_stats=1",
         "-artifact_prefix=" + (folder + "/" if folder else "/tmp/"), *([folder] if folder else [])],
        once,
    )  # fmt: skip
    atheris.Fuzz()


if __name__ == "__main__":
    main()
