"""The processes of `khien up` under settings that it does not offer: `supervised.py SETTINGS HANGS_AFTER`."""

from __future__ import annotations

import signal
import sys
import threading

from khien.flow.logs import set_up_logs
from khien.flow.process import decode
from khien.flow.supervising import Supervisor

if __name__ == "__main__":
    set_up_logs("supervise")
    ending = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: ending.set())
    Supervisor(decode(sys.argv[1]), hangs_after=float(sys.argv[2])).run(ending.is_set)
