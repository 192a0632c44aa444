"""Where a lake lies: a local folder, or a prefix of S3-compatible storage."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa
from pyarrow import fs

from khien.lake.errors import LakeError


class Storage:
    """Files below a root, by relative paths with `/`.

    `root`: a folder, or `s3://bucket/prefix`. `options`: for S3, the names that Delta knows: `AWS_ENDPOINT_URL`,
    `AWS_ACCESS_KEY_ID`, `AWS_SECRET_ACCESS_KEY`, `AWS_REGION`, `AWS_ALLOW_HTTP`; what is not given is taken
    from the environment.
    """

    def __init__(self, root: str | Path, options: Mapping[str, str] | None = None) -> None:
        text = str(root)
        self.options = {key.upper(): value for key, value in (options or {}).items()}
        self.local: Path | None = None
        if text.startswith("s3://"):
            self.uri = text.rstrip("/")
            self.filesystem: Any = fs.SubTreeFileSystem(self.uri.removeprefix("s3://"), self._s3())
            self._fill_options()
        elif "://" in text:
            raise LakeError("a lake lies in a folder or on s3://", text, "Give a path, or s3://bucket/prefix")
        else:
            self.local = Path(text).absolute()
            self.uri = str(self.local)
            if re.search("%[0-9A-Fa-f]{2}", self.uri):  # Delta reads %20 as a blank
                raise LakeError("a lake's folder cannot have '%' and two digits in its path", text, "Rename it")
            self.filesystem = fs.SubTreeFileSystem(self.uri, fs.LocalFileSystem())

    def _option(self, name: str) -> str | None:
        return self.options.get(name) or os.environ.get(name) or None

    def _fill_options(self) -> None:
        for name in ("AWS_ENDPOINT_URL", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_REGION", "AWS_ALLOW_HTTP"):
            if value := self._option(name):
                self.options[name] = value

    def _s3(self) -> Any:
        endpoint = self._option("AWS_ENDPOINT_URL")
        given: dict[str, Any] = {}
        if endpoint:
            scheme, _, host = endpoint.rpartition("://")
            given = {"endpoint_override": host, "scheme": scheme or "https"}
        if key := self._option("AWS_ACCESS_KEY_ID"):
            given |= {"access_key": key, "secret_key": self._option("AWS_SECRET_ACCESS_KEY")}
        if region := self._option("AWS_REGION"):
            given["region"] = region
        return fs.S3FileSystem(**given)

    def create(self, path: str) -> Any:
        """A new file to write bytes to, as a context manager."""
        if self.local is not None:
            target = self.local / path
            target.parent.mkdir(parents=True, exist_ok=True)
            return pa.OSFile(str(target), "wb")
        return self.filesystem.open_output_stream(path)

    def open(self, path: str) -> Any:
        """A file to read with random access. Raises FileNotFoundError or OSError."""
        if self.local is not None:
            return pa.OSFile(str(self.local / path), "rb")
        return self.filesystem.open_input_file(path)

    def sync(self, path: str) -> None:
        """Return when a local file is on disk (object storage holds it already)."""
        if self.local is None:
            return
        handle = os.open(self.local / path, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)

    def delete(self, path: str) -> None:
        """Delete a file; one that is not there is no error."""
        try:
            if self.local is not None:
                (self.local / path).unlink(missing_ok=True)
            else:
                self.filesystem.delete_file(path)
        except FileNotFoundError:
            pass

    def size(self, path: str) -> int | None:
        """The bytes of a file; None when there is none."""
        info = self.filesystem.get_file_info(path)
        return info.size if info.type == fs.FileType.File else None

    def walk(self, path: str) -> list[tuple[str, int, float]]:
        """Every file below a folder: relative path, bytes, time of last change (seconds since 1970)."""
        selector = fs.FileSelector(path, allow_not_found=True, recursive=True)
        return [
            (info.path, info.size, info.mtime.timestamp() if info.mtime else 0.0)
            for info in self.filesystem.get_file_info(selector)
            if info.type == fs.FileType.File
        ]
