"""What names a system in telemetry: host names, where `*` stands for any text, and address ranges, one a line."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterator
from dataclasses import dataclass

from django.core.exceptions import ValidationError
from django.utils.translation import gettext as _

Network = ipaddress.IPv4Network | ipaddress.IPv6Network
MOST_LINES = 5000
_LABEL = re.compile(r"[\w*](?:[\w*-]{0,62})", re.ASCII)


@dataclass(frozen=True, slots=True)
class Line:
    """A line that says something. `number`: from 1, as the person sees it."""

    number: int
    text: str


def lines(text: str) -> Iterator[Line]:
    """The lines that are not empty; what follows `#` is a remark."""
    for number, line in enumerate(text.splitlines(), start=1):
        said = line.split("#", 1)[0].strip()
        if said:
            yield Line(number, said)


def host_name(text: str) -> str:
    """A host name as it is compared: lower case, no final dot."""
    return text.strip().rstrip(".").lower()


def hostnames(text: str) -> list[tuple[Line, str]]:
    """The host names and patterns of a text. Raises ValidationError with a message for each wrong line."""
    found, wrong = [], []
    for line in lines(text):
        name = host_name(line.text)
        if len(name) > 253 or not all(_LABEL.fullmatch(label) for label in name.split(".")):
            wrong.append(_("Line %(number)s: “%(text)s” is not a host name.") % _said(line))
        elif len(name.replace("*", "").replace(".", "")) < 2:
            wrong.append(
                _("Line %(number)s: “%(text)s” would match nearly every machine; write more of the name.") % _said(line)
            )
        else:
            found.append((line, name))
    _check(found, wrong)
    return found


def networks(text: str) -> list[tuple[Line, list[Network]]]:
    """The address ranges of a text: an address, a CIDR, or two addresses with a dash between.

    Raises ValidationError with a message for each wrong line.
    """
    found, wrong = [], []
    for line in lines(text):
        try:
            found.append((line, network(line.text)))
        except ValueError:
            try:
                right = ipaddress.ip_network(line.text, strict=False)
            except ValueError:
                wrong.append(
                    _("Line %(number)s: “%(text)s” is not an address, nor a range such as 10.1.0.0/16.") % _said(line)
                )
            else:
                wrong.append(
                    _("Line %(number)s: “%(text)s” is not the first address of its range; it would be %(right)s.")
                    % {**_said(line), "right": right}
                )
    _check(found, wrong)
    return found


def network(text: str) -> list[Network]:
    """The networks of one range. Raises ValueError."""
    first, dash, last = text.partition("-")
    if dash:
        ends = ipaddress.ip_address(first.strip()), ipaddress.ip_address(last.strip())
        if ends[0].version != ends[1].version:
            raise ValueError(text)
        return list(ipaddress.summarize_address_range(*ends))  # type: ignore[type-var]
    return [ipaddress.ip_network(text)]


def _said(line: Line) -> dict[str, object]:
    return {"number": line.number, "text": line.text[:80]}


def _check(found: list[tuple[Line, object]], wrong: list[str]) -> None:
    if len(found) > MOST_LINES:
        wrong = [_("There are more than %(most)s lines.") % {"most": MOST_LINES}]
    if wrong:
        raise ValidationError(wrong[:20])
