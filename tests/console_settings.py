"""The console's settings with a data folder of the tests' own."""

import os
import tempfile
from pathlib import Path

# A console that a test starts is told its folders; each process of the tests has its own.
_folder = Path(os.environ.get("KHIEN_TEST_DATA") or tempfile.mkdtemp(prefix="khien-console-"))
os.environ["KHIEN_CONSOLE_DATA"] = str(_folder)
if "KHIEN_TEST_DATA" not in os.environ:
    os.environ["KHIEN_LIVE_DATA"] = str(_folder / "live")

from khien.console.settings import *  # noqa: E402, F403
from khien.console.settings import DATABASES, SQLITE  # noqa: E402

ALLOWED_HOSTS = ["localhost", "127.0.0.1", "testserver"]
PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]  # a sign-in in milliseconds
if SQLITE:
    DATABASES["default"]["TEST"] = {"NAME": str(_folder / "test.db")}  # threads of a live server share it
AUDIT_REFUSES_DELETE = False  # between tests tables of SQLite are emptied by DELETE; see audit/append_only.py
