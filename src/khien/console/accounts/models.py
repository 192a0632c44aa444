"""Users: people who sign in, each of one unit and with one role; how they come in, and what is kept from guessers."""

from __future__ import annotations

import hashlib
from datetime import timedelta
from typing import Any, ClassVar

from django.conf import settings
from django.contrib.auth.base_user import AbstractBaseUser, BaseUserManager
from django.db import models
from django.utils import timezone
from django.utils.translation import gettext_lazy as _
from django.utils.translation import pgettext_lazy

from khien.console.accounts.roles import CAPABILITIES, PRIVILEGED, Role
from khien.console.units.folding import FoldedField
from khien.console.units.scoping import UnitScopedQuerySet


class UserQuerySet(UnitScopedQuerySet["User"]):
    """Users of the units one sees."""


class UserManager(BaseUserManager["User"].from_queryset(UserQuerySet)):  # type: ignore[misc]
    """Makes users."""

    def create_user(self, email: str, password: str | None = None, **fields: Any) -> User:
        """A user with a password, or with none until an invitation is taken up."""
        user: User = self.model(email=self.normalize_email(email).lower(), **fields)
        user.set_password(password)
        user.save()
        return user


class User(AbstractBaseUser):
    """A person. Preferences are remembered per person; an inactive user cannot sign in and keeps the history."""

    email = models.EmailField(_("e-mail"), unique=True)
    name = models.CharField(_("name"), max_length=120)
    title = models.CharField(_("position"), max_length=120, blank=True)
    phone = models.CharField(_("phone"), max_length=32, blank=True)
    unit = models.ForeignKey("units.Unit", models.PROTECT, related_name="users", verbose_name=_("unit"))
    role = models.CharField(_("role"), max_length=24, choices=Role.choices)
    is_active = models.BooleanField(_("active"), default=True)
    language = models.CharField(_("language"), max_length=5, default="vi")
    theme = models.CharField(_("theme"), max_length=8, default="auto")
    density = models.CharField(_("density"), max_length=12, default="comfortable")
    created_at = models.DateTimeField(default=timezone.now)
    seen_at = models.DateTimeField(_("last seen"), null=True, blank=True, editable=False)
    folded = FoldedField("name", "email", "title", "phone")
    version = models.PositiveIntegerField(default=1, editable=False)

    USERNAME_FIELD = "email"
    EMAIL_FIELD = "email"
    REQUIRED_FIELDS: ClassVar[list[str]] = ["name"]
    objects: ClassVar[UserManager] = UserManager()

    class Meta:
        ordering: ClassVar = ["name", "id"]
        verbose_name = _("user")
        verbose_name_plural = _("users")

    def __str__(self) -> str:
        return self.name or self.email

    @property
    def is_privileged(self) -> bool:
        """Whether the role asks for a second factor."""
        return self.role in PRIVILEGED

    def may(self, capability: str) -> bool:
        """Whether the role has a capability; what the person sees of it is a matter of units."""
        return self.is_active and capability in CAPABILITIES.get(self.role, frozenset())


def digest(secret: str) -> str:
    """What is kept of a secret of 256 random bits: nothing to guess, so a plain SHA-256 does."""
    return hashlib.sha256(secret.encode()).hexdigest()


class InvitationQuerySet(UnitScopedQuerySet["Invitation"]):
    """Invitations into the units one sees."""

    def open(self) -> InvitationQuerySet:
        """Those that can still be taken up."""
        return self.filter(used_at=None, revoked_at=None, expires_at__gt=timezone.now())


class Invitation(models.Model):
    """A link that makes an account, once, within a week. Only the digest of what stands in the link is kept."""

    LASTS = timedelta(days=7)

    email = models.EmailField(_("e-mail"))
    name = models.CharField(_("name"), max_length=120)
    title = models.CharField(_("position"), max_length=120, blank=True)
    unit = models.ForeignKey("units.Unit", models.PROTECT, related_name="invitations", verbose_name=_("unit"))
    role = models.CharField(_("role"), max_length=24, choices=Role.choices)
    token = models.CharField(max_length=64, unique=True, editable=False)
    invited_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.PROTECT, related_name="+")
    created_at = models.DateTimeField(default=timezone.now)
    expires_at = models.DateTimeField()
    used_at = models.DateTimeField(null=True, blank=True)
    revoked_at = models.DateTimeField(null=True, blank=True)
    user = models.OneToOneField(settings.AUTH_USER_MODEL, models.PROTECT, null=True, related_name="invitation")

    objects = InvitationQuerySet.as_manager()

    class Meta:
        ordering: ClassVar = ["-id"]
        indexes: ClassVar = [models.Index(fields=["email"])]
        verbose_name = _("invitation")
        verbose_name_plural = _("invitations")

    def __str__(self) -> str:
        return f"{self.name} <{self.email}>"

    @property
    def state(self) -> str:
        """`used`, `revoked`, `expired` or `open`."""
        if self.used_at:
            return "used"
        if self.revoked_at:
            return "revoked"
        return "expired" if self.expires_at <= timezone.now() else "open"


class ApiKeyQuerySet(UnitScopedQuerySet["ApiKey"]):
    """Keys of the people one sees."""

    unit_field = "owner__unit_id"

    def usable(self) -> ApiKeyQuerySet:
        """Those that open something now."""
        return self.filter(revoked_at=None, expires_at__gt=timezone.now(), owner__is_active=True)


class ApiKey(models.Model):
    """A program's way in, on behalf of its owner and never past what the owner may. The secret is shown once."""

    public_id = models.CharField(max_length=16, unique=True, editable=False)
    digest = models.CharField(max_length=64, editable=False)
    name = models.CharField(pgettext_lazy("thing", "name"), max_length=80)
    owner = models.ForeignKey(settings.AUTH_USER_MODEL, models.CASCADE, related_name="api_keys")
    scopes = models.JSONField(_("scopes"), default=list)
    created_at = models.DateTimeField(default=timezone.now)
    expires_at = models.DateTimeField(_("expires"))
    revoked_at = models.DateTimeField(null=True, blank=True)
    used_at = models.DateTimeField(_("last used"), null=True, blank=True)
    used_from = models.CharField(max_length=64, blank=True)

    objects = ApiKeyQuerySet.as_manager()

    class Meta:
        ordering: ClassVar = ["-id"]
        verbose_name = _("API key")
        verbose_name_plural = _("API keys")

    def __str__(self) -> str:
        return f"{self.name} (khien_{self.public_id})"

    @property
    def shown(self) -> str:
        """What may be shown of the key itself: enough to know it again."""
        return f"khien_{self.public_id}_…"

    def may(self, scope: str) -> bool:
        """Whether the key opens a scope: it was given it, and its owner still may."""
        from khien.console.accounts.keys import SCOPES

        return scope in self.scopes and scope in SCOPES and self.owner.may(SCOPES[scope].capability)

    @property
    def state(self) -> str:
        """`revoked`, `expired` or `open`."""
        if self.revoked_at:
            return "revoked"
        return "expired" if self.expires_at <= timezone.now() else "open"


class LoginFailure(models.Model):
    """A password or code that was wrong, or is being looked at; by the e-mail as typed, whoever has it, or nobody."""

    email = models.CharField(max_length=254)
    address = models.CharField(max_length=64, blank=True)
    at = models.DateTimeField(default=timezone.now)

    class Meta:
        indexes: ClassVar = [models.Index(fields=["email", "at"]), models.Index(fields=["address", "at"])]


class Lockout(models.Model):
    """Sign-ins by password or code for an e-mail are refused until a time; each further one lasts twice as long."""

    email = models.CharField(max_length=254, unique=True)
    until = models.DateTimeField(null=True, db_index=True)
    times = models.PositiveSmallIntegerField(default=0)
    at = models.DateTimeField(default=timezone.now)

    def __str__(self) -> str:
        return self.email
