"""Elasticsearch `_bulk` and what shippers ask around it."""

from __future__ import annotations

import json
import logging
import os
import shutil
import socket
import subprocess
import time
from pathlib import Path

import pytest
from elasticsearch import ApiError, AuthenticationException, Elasticsearch, helpers

from collect.serving import Served, serving

NDJSON = {"Content-Type": "application/x-ndjson"}


def client(served: Served, **options) -> Elasticsearch:
    return Elasticsearch(served.url, api_key=served.key.encoded, **options)


def documents(served: Served) -> list[dict]:
    return [json.loads(line) for line in served.lines()]


def test_elasticsearch_py_recognises_the_server(tmp_path: Path) -> None:
    with serving(tmp_path) as served, client(served) as search:
        assert search.info()["version"]["number"].startswith("8.")
        assert search.ping()
        assert search.cluster.health()["status"] == "green"
        assert search.indices.exists(index="logs")
        assert search.indices.create(index="logs")["acknowledged"]
        assert search.ilm.put_lifecycle(name="logs", policy={"phases": {}})["acknowledged"]
        assert search.indices.exists_index_template(name="logs")
        assert search.license.get()["license"]["status"] == "active"
        assert search.nodes.info()["nodes"]


def test_helpers_bulk_stores_every_document(tmp_path: Path) -> None:
    actions = [
        {"_index": "logs", "_op_type": ("create", "index")[n % 2], "n": n, "text": "tiếng Việt"} for n in range(2500)
    ]
    with serving(tmp_path) as served, client(served, http_compress=True) as search:
        assert helpers.bulk(search, actions, chunk_size=400) == (2500, [])
        assert [each["n"] for each in documents(served)] == list(range(2500))
        assert {parcel.format for parcel in served.parcels()} == {"json"}
        answers = list(helpers.streaming_bulk(search, [{"_index": "logs", "_id": "mine", "n": 1}]))
        assert answers[0][1]["index"]["_id"] == "mine"


def test_a_single_document_is_stored_too(tmp_path: Path) -> None:
    with serving(tmp_path) as served, client(served) as search:
        assert search.index(index="logs", document={"n": 1})["result"] == "created"
        assert search.create(index="logs", id="7", document={"n": 2})["_id"] == "7"
        assert documents(served) == [{"n": 1}, {"n": 2}]
        with pytest.raises(ApiError):
            search.search(index="logs")


def test_a_wrong_key_is_told_so(tmp_path: Path) -> None:
    with (
        serving(tmp_path) as served,
        Elasticsearch(served.url, basic_auth=("web", "wrong")) as search,
        pytest.raises(AuthenticationException),
    ):
        helpers.bulk(search, [{"_index": "logs", "n": 1}])


def test_only_the_bad_item_fails(tmp_path: Path) -> None:
    body = (
        b'{"create":{"_index":"a"}}\n{"n":1}\n'
        b'{"index":{"_index":"a","_id":"2"}}\n{"n":\n'
        b'{"delete":{"_index":"a","_id":"1"}}\n'
        b'{"update":{"_index":"a","_id":"1"}}\n{"doc":{}}\n'
        b'{"create":{}}\n[3]\n'
        b'{"create":{}}\n{"n":4}\n'
    )
    with serving(tmp_path) as served:
        status, headers, answer = served.send("/logs/_bulk", body, NDJSON)
        assert (status, headers["x-elastic-product"]) == (200, "Elasticsearch")
        tree = json.loads(answer)
        assert tree["errors"] is True
        assert [next(iter(item)) for item in tree["items"]] == [
            "create",
            "index",
            "delete",
            "update",
            "create",
            "create",
        ]
        assert [next(iter(item.values()))["status"] for item in tree["items"]] == [201, 400, 400, 400, 400, 201]
        assert tree["items"][1]["index"]["error"]["type"] == "document_parsing_exception"
        assert tree["items"][5]["create"]["_index"] == "logs"
        assert documents(served) == [{"n": 1}, {"n": 4}]


@pytest.mark.parametrize(
    "body", [b"", b"\n", b"nonsense\n{}\n", b'{"create":{}}', b'{"search":{}}\n{}\n', b'{"create":{},"index":{}}\n{}\n']
)
def test_what_is_no_bulk_body_is_refused_whole(tmp_path: Path, body: bytes) -> None:
    with serving(tmp_path) as served:
        status, _, answer = served.send("/_bulk", body, NDJSON)
        assert status == 400
        assert json.loads(answer)["error"]["reason"]
        assert served.parcels() == []


def test_beats_get_the_short_answer_they_ask_for(tmp_path: Path) -> None:
    with serving(tmp_path) as served:
        path = "/_bulk?filter_path=errors%2Citems.%2A.error%2Citems.%2A.status"
        _, _, answer = served.send(path, b'{"create":{"_index":"x"}}\n{"n":1}\n', NDJSON)
        assert json.loads(answer)["items"] == [{"create": {"status": 201}}]
        for question in (
            "/_license",
            "/_xpack",
            "/_ilm/policy/winlogbeat",
            "/_index_template/winlogbeat-8.19.3",
            "/_nodes/http",
            "/_data_stream/winlogbeat-8.19.3",
        ):
            status, headers, _ = served.send(question, None, method="GET")
            assert (status, headers["x-elastic-product"]) == (200, "Elasticsearch")


def test_a_full_spool_asks_every_item_to_wait(tmp_path: Path) -> None:
    with serving(tmp_path, spool={"max_bytes": 300_000}) as served:
        body = b'{"create":{}}\n{"text":"%s"}\n'
        for _ in range(100):
            status, headers, answer = served.send("/x/_bulk", body % os.urandom(20_000).hex().encode(), NDJSON)
            if status != 200:
                break
        assert status == 429
        assert int(headers["retry-after"]) > 0
        assert json.loads(answer)["items"][0]["create"]["status"] == 429
        assert served.counters.of("web").rejected["full"] == 1
        assert served.counters.of("web").events == len(served.lines()) > 5


def test_streaming_bulk_tries_again_when_told_to_wait(tmp_path: Path) -> None:
    with serving(tmp_path, web={"events_per_second": 100}) as served, client(served) as search:
        actions = [{"_index": "logs", "n": n} for n in range(400)]
        done = helpers.streaming_bulk(search, actions, chunk_size=100, max_retries=8, initial_backoff=0.5)
        assert sum(ok for ok, _ in done) == 400
        assert [each["n"] for each in documents(served)] == list(range(400))
        assert served.counters.of("web").rejected["rate"] > 0


def rsyslog_is_here() -> bool:
    return shutil.which("rsyslogd") is not None and any(Path("/usr/lib").glob("*/rsyslog/omelasticsearch.so"))


@pytest.mark.skipif(
    not rsyslog_is_here(), reason="the Debian packages rsyslog and rsyslog-elasticsearch are not installed"
)
@pytest.mark.parametrize("bulk", ["on", "off"])
def test_rsyslog_ships_with_omelasticsearch(tmp_path: Path, bulk: str) -> None:
    with serving(tmp_path / "spool") as served:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        (tmp_path / "rsyslog.conf").write_text(f"""
            global(workDirectory="{tmp_path}")
            module(load="imtcp")
            module(load="omelasticsearch")
            input(type="imtcp" port="{port}" address="127.0.0.1")
            template(name="event" type="list" option.jsonf="on") {{
                property(outname="@timestamp" name="timereported" dateFormat="rfc3339" format="jsonf")
                property(outname="host" name="hostname" format="jsonf")
                property(outname="message" name="msg" format="jsonf")
            }}
            action(type="omelasticsearch" server="127.0.0.1" serverport="{served.port}" template="event"
                   searchIndex="syslog" searchType="_doc" bulkmode="{bulk}" uid="web" pwd="{served.key.secret}"
                   action.resumeRetryCount="-1" errorFile="{tmp_path}/errors")
        """)
        command = ["rsyslogd", "-n", "-f", tmp_path / "rsyslog.conf", "-i", tmp_path / "pid"]
        shipper = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            for _ in range(100):
                try:
                    sender = socket.create_connection(("127.0.0.1", port))
                    break
                except OSError:
                    time.sleep(0.05)
            with sender:
                sender.sendall(b"".join(b"<13>Oct 11 22:14:15 gate app: event %d\n" % n for n in range(300)))
            for _ in range(100):
                if len(served.lines()) >= 300:
                    break
                time.sleep(0.1)
        finally:
            shipper.terminate()
            shipper.wait(10)
        assert not (tmp_path / "errors").exists(), (tmp_path / "errors").read_text()[:500]
        assert [each["message"].strip() for each in documents(served)] == [f"event {n}" for n in range(300)]


logging.getLogger("elastic_transport").setLevel(logging.ERROR)
