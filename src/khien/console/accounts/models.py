"""Users: people who sign in, each of one unit and with one role."""

from __future__ import annotations

from typing import Any, ClassVar

from django.contrib.auth.base_user import AbstractBaseUser, BaseUserManager
from django.db import models
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from khien.console.accounts.roles import CAPABILITIES, PRIVILEGED, Role
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

    def get_full_name(self) -> str:
        return self.name
