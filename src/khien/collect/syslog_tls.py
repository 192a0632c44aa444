"""The certificates of a syslog listener (RFC 5425)."""

from __future__ import annotations

import ssl
from pathlib import Path

from khien.errors import KhienError


class CertificateError(KhienError):
    """The certificate, key or client CA of a TLS listener cannot be used."""


def tls_context(
    certificate: Path, key: Path | None = None, client_ca: Path | None = None, require_client: bool = False
) -> ssl.SSLContext:
    """A server context for RFC 5425: TLS 1.2 or newer, PEM files.

    With `client_ca`, client certificates are verified when sent, and demanded when
    `require_client`. Raises CertificateError.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    # Senders of syslog never read. Session tickets left unread make their kernel reset the connection
    # when they close it, and a reset throws away what they had sent last.
    context.num_tickets = 0
    try:
        context.load_cert_chain(certificate, key)
        if client_ca is not None:
            context.load_verify_locations(client_ca)
            context.verify_mode = ssl.CERT_REQUIRED if require_client else ssl.CERT_OPTIONAL
    except (OSError, ssl.SSLError) as error:
        place = ", ".join(str(path) for path in (certificate, key, client_ca) if path is not None)
        raise CertificateError(f"the certificate cannot be used: {error}", place, "Give PEM files that fit") from error
    if require_client and client_ca is None:
        raise CertificateError("client certificates are demanded without a CA to verify them", remedy="Set a client CA")
    return context
