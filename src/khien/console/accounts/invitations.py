"""Invitations: a link by mail makes an account, once, within a week."""

from __future__ import annotations

import secrets

from django.conf import settings
from django.core.exceptions import ValidationError
from django.db import transaction
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _

from khien.console.accounts import mail
from khien.console.accounts.access import demand
from khien.console.accounts.models import Invitation, User, digest
from khien.console.audit.services import hold_trail, record
from khien.console.units.models import Unit


def invite(by: User, email: str, name: str, unit: Unit, role: str, title: str = "") -> tuple[Invitation, str]:
    """An invitation, and the link that takes it up, which is mailed too and never to be had again.

    Open ones of the same e-mail that `by` sees are revoked; others stay: whichever link is taken up first makes the
    account. Raises ValidationError when somebody has an account with that e-mail, who is not told of to one who does
    not see them; that it was tried is kept.
    """
    demand(by, "users.manage")
    email = User.objects.normalize_email(email).strip().lower()
    token = secrets.token_urlsafe(32)
    with transaction.atomic():
        hold_trail()
        unit = Unit.objects.visible_to(by).get(pk=unit.pk)
        if not unit.is_active:
            raise ValidationError({"unit": _("This unit is no longer active.")})
        if not User.objects.filter(email=email).exists():
            for earlier in Invitation.objects.visible_to(by).open().filter(email=email).select_for_update(of=("self",)):
                _revoke(by, earlier)
            invitation = Invitation(
                email=email,
                name=name.strip(),
                title=title.strip(),
                unit=unit,
                role=role,
                token=digest(token),
                invited_by=by,
                expires_at=timezone.now() + Invitation.LASTS,
            )
            invitation.full_clean(exclude=["user"])
            invitation.save()
            record(by, "user.invite", invitation, after={"email": email, "unit": str(unit), "role": role})
            return invitation, _send(invitation, token)
        if User.objects.visible_to(by).filter(email=email).exists():
            raise ValidationError({"email": _("Somebody has an account with this e-mail.")})
        record(by, "user.refuse_keys", after={"keys": [email], "count": 1})
    raise ValidationError({"email": _("This e-mail cannot be used here: choose another.")})


def invite_again(by: User, invitation: Invitation) -> str:
    """A new link for another week; the old one opens nothing any more."""
    demand(by, "users.manage")
    token = secrets.token_urlsafe(32)
    with transaction.atomic():
        held = _held(by, invitation)
        held.token = digest(token)
        held.expires_at = timezone.now() + Invitation.LASTS
        held.save(update_fields=["token", "expires_at"])
        record(by, "user.invite_again", held, after={"expires_at": held.expires_at})
        return _send(held, token)


def revoke(by: User, invitation: Invitation) -> None:
    """The link opens nothing any more."""
    demand(by, "users.manage")
    with transaction.atomic():
        _revoke(by, _held(by, invitation))


def find(token: str) -> Invitation | None:
    """The invitation that a link's token takes up, if it still can be."""
    return Invitation.objects.open().select_related("unit", "invited_by").filter(token=digest(token)).first()


def accept(token: str, password: str, *, name: str = "", phone: str = "", language: str = "vi") -> User:
    """Make the account. Raises ValidationError when the link opens nothing (any more)."""
    with transaction.atomic():
        hold_trail()
        held = Invitation.objects.open().select_for_update(of=("self",)).filter(token=digest(token)).first()
        if (
            held is None
            or User.objects.filter(email=held.email).exists()
            or not held.invited_by.may("users.manage")
            or not held.unit.is_active
        ):
            raise ValidationError(_("This invitation has been used, revoked or has expired. Ask for a new one."))
        user = User.objects.create_user(
            held.email,
            password,
            name=name.strip() or held.name,
            title=held.title,
            phone=phone.strip(),
            unit_id=held.unit_id,
            role=held.role,
            language=language,
        )
        held.used_at, held.user = timezone.now(), user
        held.save(update_fields=["used_at", "user"])
        record(user, "user.join", user, after={"email": user.email, "role": user.role, "unit": str(user.unit)})
    return user


def _revoke(by: User, held: Invitation) -> None:
    held.revoked_at = timezone.now()
    held.save(update_fields=["revoked_at"])
    record(by, "invitation.revoke", held)


def _held(by: User, invitation: Invitation) -> Invitation:
    hold_trail()
    rows = Invitation.objects.visible_to(by).select_for_update(of=("self",))
    held: Invitation = rows.get(pk=invitation.pk)
    if held.used_at or held.revoked_at:
        raise ValidationError(_("This invitation has been used or revoked."))
    return held


def _send(invitation: Invitation, token: str) -> str:
    link = settings.ADDRESS + reverse("accounts:join", args=[token])
    context = {
        "name": invitation.name,
        "link": link,
        "by": invitation.invited_by.name,
        "unit": str(invitation.unit),
        "until": invitation.expires_at,
    }
    transaction.on_commit(lambda: mail.send(invitation.email, "invitation", context, language="vi"))
    return link
