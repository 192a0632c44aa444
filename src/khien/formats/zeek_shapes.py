"""Zeek's JSON without the name of the log it stands in, told by the fields that only one log has."""

from __future__ import annotations

from khien.events.batch import Event

_LOGS = {
    "conn": ("conn_state", "proto"),
    "dns": ("query", "qtype_name"),
    "http": ("method", "uri"),
    "ssl": ("cipher", "established"),
    "smb_files": ("action", "name"),
    "smb_mapping": ("path", "share_type"),
    "dce_rpc": ("operation", "endpoint"),
    "kerberos": ("request_type",),
    "ntlm": ("ntlm_version",),
    "rdp": ("security_protocol",),
    "ssh": ("auth_attempts",),
    "ftp": ("command", "reply_code"),
    "smtp": ("helo",),
    "files": ("fuid", "source"),
    "x509": ("certificate.serial",),
    "weird": ("name", "peer", "notice"),
    "notice": ("note", "msg"),
}


def zeek_record(record: Event) -> Event | None:
    """The record with its `_path`; None where it is no entry of a Zeek log, or names its log itself."""
    if "ts" not in record or "_path" in record or "@stream" in record:
        return None
    if "id.orig_h" not in record and "fuid" not in record and "certificate.serial" not in record:
        return None
    for path, names in _LOGS.items():
        if all(name in record for name in names):
            return {**record, "_path": path}
    return None
