"""Unmodified senders of the field: rsyslog, syslog-ng and logger, over every transport and framing."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import subprocess
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import trustme

from collect.listening import HOST, Memory, in_loop, listening, until
from khien.collect.syslog import tls_context
from khien.formats.syslog import parse

MANY = 5_000
MULTILINE = "first line\n\tsecond line of a stack trace"


def tool(name: str) -> str:
    found = shutil.which(name) or shutil.which(name, path="/usr/sbin:/sbin:/usr/local/sbin")
    if not found:
        pytest.skip(f"{name} is not installed")
    return found


@contextlib.asynccontextmanager
async def running(*command: str | Path, **environment: str) -> AsyncIterator[asyncio.subprocess.Process]:
    process = await asyncio.create_subprocess_exec(
        *map(str, command), env={**os.environ, **environment}, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
    )
    try:
        yield process
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.terminate()
        await asyncio.wait_for(process.communicate(), 10)


def messages(memory: Memory) -> list[str]:
    found = []
    for line in memory.lines():
        parsed = parse(line.decode())
        assert parsed is not None, line
        found.append(str(parsed[1]["message"]).strip())
    return found


@pytest.mark.parametrize("format", ["--rfc5424", "--rfc3164"])
@pytest.mark.parametrize("how", [["--udp"], ["--tcp"], ["--tcp", "--octet-count"]])
@in_loop
async def test_logger(how: list[str], format: str) -> None:
    memory = Memory()
    async with listening(memory, "udp" if how == ["--udp"] else "tcp") as listener:
        command = [tool("logger"), "--server", HOST, "--port", str(listener.ports[0]), *how, format, "-t", "probe"]
        async with running(*command, "one message of logger") as process:
            assert await process.wait() == 0, await process.stderr.read() if process.stderr else ""
        await until(lambda: memory.parcels)
    assert messages(memory) == ["one message of logger"]
    parsed = parse(memory.lines()[0].decode())
    assert parsed is not None
    assert parsed[1]["program"] == "probe"


def rsyslog(folder: Path, port: int, action: str, extra: str = "") -> tuple[str, ...]:
    (folder / "work").mkdir()
    configuration = folder / "rsyslog.conf"
    configuration.write_text(f"""
global(workDirectory="{folder}/work" maxMessageSize="64k" {extra})
module(load="imfile")
input(type="imfile" file="{folder}/input.log" tag="probe:" startmsg.regex="^[0-9]+ " escapeLF="off" readTimeout="1")
action(type="omfwd" target="{HOST}" port="{port}" {action})
""")
    return tool("rsyslogd"), "-n", "-iNONE", "-f", str(configuration)


def write_input(folder: Path, multiline: bool = False) -> list[str]:
    lines = [f"{number} message of a file" for number in range(MANY)]
    if multiline:
        lines[7] = f"7 {MULTILINE}"
    (folder / "input.log").write_text("\n".join((*lines, f"{MANY} ends the one before\n")))
    return lines


@pytest.mark.parametrize(
    ("framing", "template"),
    [
        ("octet-counted", "RSYSLOG_SyslogProtocol23Format"),
        ("octet-counted", "RSYSLOG_TraditionalForwardFormat"),
        ("traditional", "RSYSLOG_SyslogProtocol23Format"),
        ("traditional", "RSYSLOG_TraditionalForwardFormat"),
    ],
)
@in_loop
async def test_rsyslog_over_tcp(framing: str, template: str, tmp_path: Path) -> None:
    memory = Memory()
    lines = write_input(tmp_path, multiline=framing == "octet-counted")
    async with listening(memory, "tcp") as listener:
        action = f'protocol="tcp" TCP_Framing="{framing}" template="{template}"'
        async with running(*rsyslog(tmp_path, listener.ports[0], action)):
            await until(lambda: sum(parcel.count for parcel in memory.parcels) >= MANY, 30)
    assert [text for text in messages(memory) if text[0].isdigit()][:MANY] == [
        line.replace("\n", "#012") for line in lines
    ]


@in_loop
async def test_rsyslog_over_udp(tmp_path: Path) -> None:
    memory = Memory()
    lines = write_input(tmp_path)
    async with listening(memory, "udp") as listener:
        action = 'protocol="udp" template="RSYSLOG_SyslogProtocol23Format"'
        async with running(*rsyslog(tmp_path, listener.ports[0], action)):
            await until(lambda: sum(parcel.count for parcel in memory.parcels) >= MANY, 30)
    assert [text for text in messages(memory) if text[0].isdigit()][:MANY] == lines


@pytest.mark.parametrize("framing", ["octet-counted", "traditional"])
@in_loop
async def test_rsyslog_over_tls_with_a_client_certificate(framing: str, tmp_path: Path) -> None:
    if not list(Path("/usr/lib").glob("*/rsyslog/lmnsd_gtls.so")):
        pytest.skip("rsyslog-gnutls is not installed")
    authority = trustme.CA()
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    authority.issue_cert("localhost").private_key_and_cert_chain_pem.write_to_path(tmp_path / "server.pem")
    client = authority.issue_cert("web01.agency.example")
    client.cert_chain_pems[0].write_to_path(tmp_path / "client.pem")
    client.private_key_pem.write_to_path(tmp_path / "client.key")
    context = tls_context(tmp_path / "server.pem", client_ca=tmp_path / "ca.pem", require_client=True)
    memory = Memory()
    lines = write_input(tmp_path)
    async with listening(memory, "tls", tls=context) as listener:
        extra = (
            f'DefaultNetstreamDriver="gtls" DefaultNetstreamDriverCAFile="{tmp_path}/ca.pem" '
            f'DefaultNetstreamDriverCertFile="{tmp_path}/client.pem" DefaultNetstreamDriverKeyFile="{tmp_path}/client.key"'
        )
        action = (
            f'protocol="tcp" TCP_Framing="{framing}" template="RSYSLOG_SyslogProtocol23Format" StreamDriver="gtls" '
            'StreamDriverMode="1" StreamDriverAuthMode="x509/name" StreamDriverPermittedPeers="localhost"'
        )
        async with running(*rsyslog(tmp_path, listener.ports[0], action, extra)):
            await until(lambda: sum(parcel.count for parcel in memory.parcels) >= MANY, 30)
    assert {parcel.source for parcel in memory.parcels} == {"web01.agency.example"}
    assert [text for text in messages(memory) if text[0].isdigit()][:MANY] == lines


@pytest.fixture(scope="module")
def syslog_ng(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, str]]:
    """syslog-ng, installed or unpacked beside the rsyslog it would replace as a package."""
    if found := shutil.which("syslog-ng", path="/usr/sbin:/usr/bin:/usr/local/sbin"):
        return Path(found), {}
    folder = Path(os.environ.get("KHIEN_SYSLOG_NG", tmp_path_factory.mktemp("syslog-ng")))
    if not (folder / "usr/sbin/syslog-ng").exists():
        if not shutil.which("apt-get") or not shutil.which("dpkg"):
            pytest.skip("syslog-ng is not installed")
        packages = ["syslog-ng-core", "libpcre3", "libivykis0", "libnet1", "libwrap0"]
        got = subprocess.run(["apt-get", "download", *packages], cwd=folder, capture_output=True, check=False)
        if got.returncode:
            pytest.skip("syslog-ng is not installed and its packages cannot be fetched")
        for package in folder.glob("*.deb"):
            subprocess.run(["dpkg", "-x", package, folder], check=True)
    places = [folder / "usr/lib/syslog-ng", *folder.glob("usr/lib/*-linux-gnu"), *folder.glob("lib/*-linux-gnu")]
    return folder / "usr/sbin/syslog-ng", {"LD_LIBRARY_PATH": ":".join(map(str, places))}


@pytest.mark.parametrize(
    ("transport", "destination"),
    [
        ("tcp", 'network("127.0.0.1" port({port}) transport("tcp"))'),
        ("tcp", 'syslog("127.0.0.1" port({port}) transport("tcp"))'),
        ("udp", 'syslog("127.0.0.1" port({port}) transport("udp"))'),
        (
            "tls",
            'syslog("127.0.0.1" port({port}) transport("tls") tls(ca-file("{folder}/ca.pem") peer-verify(required-untrusted)))',
        ),
    ],
)
@in_loop
async def test_syslog_ng(
    transport: str, destination: str, syslog_ng: tuple[Path, dict[str, str]], tmp_path: Path
) -> None:
    program, environment = syslog_ng
    authority = trustme.CA()
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    authority.issue_cert("localhost", HOST).private_key_and_cert_chain_pem.write_to_path(tmp_path / "server.pem")
    memory = Memory()
    lines = [f"{number} message of a file" for number in range(MANY)]
    (tmp_path / "input.log").write_text("\n".join((*lines, "")))
    async with listening(memory, transport, tls=tls_context(tmp_path / "server.pem")) as listener:
        (tmp_path / "syslog-ng.conf").write_text(f"""@version: 3.38
options {{ stats-freq(0); }};
source s {{ file("{tmp_path}/input.log" flags(no-parse) program-override("probe") follow-freq(1)); }};
destination d {{ {destination.format(port=listener.ports[0], folder=tmp_path)}; }};
log {{ source(s); destination(d); }};
""")
        root = program.parent.parent.parent
        modules = next(iter(root.glob("usr/lib/syslog-ng/3.*")), next(iter(root.glob("lib/syslog-ng/3.*")), None))
        command = [
            program, "-F", "--no-caps", "-f", tmp_path / "syslog-ng.conf", "-R", tmp_path / "persist",
            "-p", tmp_path / "pid", "-c", tmp_path / "control", "--module-path", modules or "",
        ]  # fmt: skip
        async with running(*command, **environment) as process:
            await until(lambda: sum(parcel.count for parcel in memory.parcels) >= MANY or process.returncode, 30)
            if process.returncode and process.stderr:
                pytest.fail((await process.stderr.read()).decode())
    assert messages(memory) == lines
