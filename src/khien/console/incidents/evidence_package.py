"""Evidence leaves as an AES-256 archive made while it is sent, under a password that is shown once and kept nowhere.

The page that shows the password carries it, signed and bound to the person, in the form that starts the download. In
the archive the files have neutral names (`CC-01.bin`), for names of members are not encrypted and might start
something; `manifest.json` inside tells their real names, hashes and chain of custody.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Iterator, Sequence
from hashlib import sha256
from typing import Any

import pyzipper
from django.core import signing
from django.core.exceptions import ValidationError
from django.db import transaction
from django.utils import timezone
from django.utils.translation import gettext as _

from khien.console.accounts.access import demand
from khien.console.accounts.models import User
from khien.console.files import services as files
from khien.console.files.responses import SavedPieces
from khien.console.incidents.evidence import keep_download
from khien.console.incidents.models import Custody, Evidence, Incident

LIVES = 15 * 60
"""Seconds in which a download has to begin after its password was shown."""
_SALT = "khien.evidence"
_LETTERS = "abcdefghjkmnpqrstuvwxyz23456789"
_PIECE = 1 << 20


def new_password() -> str:
    """Twenty-five letters and digits that are not mistaken for one another, in groups: 123 bits."""
    return "-".join("".join(secrets.choice(_LETTERS) for _ in range(5)) for _ in range(5))


def offer(by: User, incident: Incident, numbers: Sequence[int], reason: str) -> tuple[list[Evidence], str, str]:
    """What is to be downloaded, the password of the archive, and the token that starts it. Needs `incidents.work`."""
    demand(by, "incidents.work")
    if not reason.strip():
        raise ValidationError({"reason": _("Say what the evidence is needed for.")})
    chosen = _chosen(by, incident, numbers)
    password = new_password()
    token = signing.dumps(
        {"user": by.pk, "incident": incident.pk, "numbers": [each.number for each in chosen]}
        | {"password": password, "reason": reason.strip()[:500]},
        salt=_SALT,
    )
    return chosen, password, token


def download(by: User, incident: Incident, token: str) -> SavedPieces:
    """The archive as a response; kept in the chain of custody before the first byte. Raises ValidationError."""
    demand(by, "incidents.work")
    try:
        offered = signing.loads(token, salt=_SALT, max_age=LIVES)
    except signing.BadSignature as error:
        raise ValidationError(_("This download is no longer valid; ask for a new password.")) from error
    if offered["user"] != by.pk or offered["incident"] != incident.pk:
        raise ValidationError(_("This download is no longer valid; ask for a new password."))
    chosen = _chosen(by, incident, offered["numbers"])
    with transaction.atomic():
        keep_download(by, chosen, offered["reason"])
    told = manifest(by, incident, chosen, offered["reason"])
    return SavedPieces(archive(chosen, told, offered["password"]), f"{incident.number}-evidence.zip")


def manifest(by: User, incident: Incident, chosen: Sequence[Evidence], reason: str) -> dict[str, Any]:
    """What the archive holds, plain values."""
    custody = Custody.objects.filter(evidence__in=chosen).select_related("by").order_by("at", "pk")
    steps: dict[int, list[dict[str, Any]]] = {each.pk: [] for each in chosen}
    for entry in custody:
        steps[entry.evidence_id].append(custody_line(entry))
    return {
        "format": "khien-evidence/1",
        "incident": incident.number,
        "title": incident.title,
        "tlp": incident.get_tlp_display(),
        "made_at": timezone.now().isoformat(),
        "made_by": by.name,
        "reason": reason,
        "evidence": [
            {"member": member_name(each), **evidence_line(each), "custody": steps[each.pk]} for each in chosen
        ],
    }


def evidence_line(evidence: Evidence) -> dict[str, Any]:
    """A piece of evidence as exports tell of it."""
    return {
        "label": evidence.label,
        "name": evidence.file.name,
        "size": evidence.file.size,
        "sha256": evidence.file.sha256,
        "description": evidence.description,
        "collected_at": evidence.collected_at.isoformat(),
        "collected_where": evidence.collected_where,
        "collected_by": evidence.collected_by,
        "added_at": evidence.added_at.isoformat(),
        "added_by": evidence.added_by.name,
        "withdrawn_at": evidence.withdrawn_at.isoformat() if evidence.withdrawn_at else None,
        "withdrawn_reason": evidence.withdrawn_reason,
    }


def custody_line(entry: Custody) -> dict[str, Any]:
    """An entry of the chain of custody as exports tell of it."""
    return {
        "at": entry.at.isoformat(),
        "by": entry.by.name,
        "what": entry.kind,
        "reason": entry.reason,
        "to": entry.to,
        "intact": entry.intact,
        "from": entry.address,
    }


def member_name(evidence: Evidence) -> str:
    """Its name in the archive."""
    return f"{evidence.label}.bin"


def archive(chosen: Sequence[Evidence], told: dict[str, Any], password: str) -> Iterator[bytes]:
    """The archive in pieces. Breaks off when a file is not what was uploaded, so nobody takes it for whole."""
    out = _Drain()
    with pyzipper.AESZipFile(out, "w", compression=pyzipper.ZIP_DEFLATED, compresslevel=1) as made:
        made.setpassword(password.encode())
        made.setencryption(pyzipper.WZ_AES, nbits=256)
        made.writestr("manifest.json", json.dumps(told, ensure_ascii=False, indent=1))
        yield out.taken()
        for evidence in chosen:
            sha = sha256()
            with made.open(member_name(evidence), "w", force_zip64=True) as member:
                for piece in files.pieces(evidence.file, _PIECE):
                    sha.update(piece)
                    member.write(piece)
                    if ready := out.taken():
                        yield ready
            if sha.hexdigest() != evidence.file.sha256:
                raise ValueError(f"evidence {evidence.pk} is damaged: its SHA-256 differs")
    yield out.taken()


class _Drain:
    """A file that is only ever written to, and emptied as it fills."""

    def __init__(self) -> None:
        self._pieces: list[bytes] = []

    def write(self, piece: bytes) -> int:
        self._pieces.append(bytes(piece))
        return len(piece)

    def flush(self) -> None:
        """Nothing is held back."""

    def taken(self) -> bytes:
        """What was written since it was last asked for."""
        pieces, self._pieces = self._pieces, []
        return b"".join(pieces)


def _chosen(by: User, incident: Incident, numbers: Sequence[int]) -> list[Evidence]:
    rows = Evidence.objects.visible_to(by).filter(incident=incident, number__in=list(numbers))
    chosen = list(rows.select_related("file", "added_by", "incident").order_by("number"))
    if not chosen:
        raise ValidationError(_("Choose at least one piece of evidence."))
    if lost := [each.label for each in chosen if not files.path_of(each.file.sha256).is_file()]:
        raise ValidationError(_("The bytes of %(labels)s are gone from the disk.") % {"labels": ", ".join(lost)})
    return chosen
