"""The console's settings. What an operator may set comes from the environment; `docs/console.md` lists it all.

KHIEN_CONSOLE_DATA: folder of the console's own things (database, files, key). KHIEN_DATABASE_URL: another database.
"""

from __future__ import annotations

import os
from pathlib import Path

from csp.constants import NONE, SELF
from django.utils.translation import gettext_lazy as _

from khien.console.database_address import SETTING, parts_of
from khien.console.secret import secret_key
from khien.documents.office import Office

HERE = Path(__file__).resolve().parent


def _flag(name: str, default: str = "") -> bool:
    return os.environ.get(name, default).lower() in ("1", "true", "yes", "on")


DATA = Path(os.environ.get("KHIEN_CONSOLE_DATA", Path.home() / ".local/share/khien/console"))
LIVE = Path(os.environ.get("KHIEN_LIVE_DATA", DATA.parent / "live"))
"""The data folder of `khien up`: alerts come from there, and the lake is asked there."""
LAKE = os.environ.get("KHIEN_LAKE", "") or str(LIVE / "lake")
RULES = [Path(each) for each in os.environ.get("KHIEN_RULES", "").split(os.pathsep) if each]
"""Rule files and folders of `khien up`, as KHIEN_RULES lists them; none: the starter and the synced rules."""
CATALOGUES = os.environ.get("KHIEN_CATALOGUES", "")
"""A folder of catalogue files that replace the packaged ones of the same names."""
OFFICE = Office(
    issuer=os.environ.get("KHIEN_ISSUER", ""),
    parent=os.environ.get("KHIEN_ISSUER_PARENT", ""),
    code=os.environ.get("KHIEN_ISSUER_CODE", "TBATANM"),
    place=os.environ.get("KHIEN_ISSUER_PLACE", ""),
)
"""What stands at the head of documents; without an issuer, the name of the unit at the root."""
DEBUG = _flag("KHIEN_DEBUG")
SECRET_KEY = secret_key(DATA)
ADDRESS = os.environ.get("KHIEN_ADDRESS", "http://localhost:8080").rstrip("/")
"""Where people reach the console: links in e-mails begin with it."""
ALLOWED_HOSTS = [
    host for host in os.environ.get("KHIEN_HOSTS", "localhost,127.0.0.1,[::1]").replace(" ", "").split(",") if host
]
_secure = ADDRESS.startswith("https://")
CSRF_TRUSTED_ORIGINS = [ADDRESS]

INSTALLED_APPS = [
    "khien.console.frame",
    "khien.console.accounts",
    "khien.console.units",
    "khien.console.systems",
    "khien.console.audit",
    "khien.console.files",
    "khien.console.alerts",
    "khien.console.incidents",
    "khien.console.directives",
    "khien.console.notifications",
    "khien.console.upkeep",
    "khien.console.spreadsheets",
    "khien.console.exports",
    "khien.console.api",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "django.contrib.humanize",
    "allauth",
    "allauth.account",
    "allauth.mfa",
    "allauth.usersessions",
    "csp",
    "django_htmx",
    "django_tasks",
    "django_tasks_db",
]

MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "csp.middleware.CSPMiddleware",
    "servestatic.middleware.ServeStaticMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "khien.console.accounts.middleware.LanguageMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "django_htmx.middleware.HtmxMiddleware",
    "allauth.account.middleware.AccountMiddleware",
    "khien.console.frame.middleware.PrivateMiddleware",
    "khien.console.audit.middleware.OriginMiddleware",
    "khien.console.accounts.middleware.SessionMiddleware",
    "khien.console.frame.middleware.UnfitMiddleware",
    "khien.console.api.idempotency.IdempotencyMiddleware",
    "khien.console.accounts.middleware.SecondFactorMiddleware",
]

ROOT_URLCONF = "khien.console.urls"
ASGI_APPLICATION = "khien.console.asgi.application"
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
                "django.template.context_processors.i18n",
                "khien.console.frame.context.frame",
            ],
            "builtins": ["django.templatetags.i18n", "khien.console.frame.templatetags.khien"],
        },
    }
]

_default_database = f"sqlite:///{DATA / 'console.db'}"
DATABASES = {
    "default": parts_of(os.environ.get(SETTING) or _default_database, conn_max_age=60, conn_health_checks=True)
}
SQLITE = DATABASES["default"]["ENGINE"].endswith("sqlite3")
if SQLITE:
    DATABASES["default"]["OPTIONS"] = {
        "timeout": 20,
        "transaction_mode": "IMMEDIATE",
        "init_command": (
            "PRAGMA journal_mode=WAL;PRAGMA synchronous=FULL;PRAGMA cache_size=-65536;"
            "PRAGMA mmap_size=1073741824;PRAGMA temp_store=MEMORY;PRAGMA journal_size_limit=67108864;"
        ),
    }
else:
    # Compiling a statement costs more than the short ones of pages take.
    DATABASES["default"].setdefault("OPTIONS", {}).setdefault("options", "-c jit=off")

AUTH_USER_MODEL = "accounts.User"
AUTHENTICATION_BACKENDS = ["allauth.account.auth_backends.AuthenticationBackend"]
PASSWORD_HASHERS = ["django.contrib.auth.hashers.Argon2PasswordHasher"]
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.UserAttributeSimilarityValidator"},
    {"NAME": "django.contrib.auth.password_validation.MinimumLengthValidator", "OPTIONS": {"min_length": 12}},
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
]
LOGIN_URL = "account_login"
LOGIN_REDIRECT_URL = "/"
ACCOUNT_ADAPTER = "khien.console.accounts.adapter.AccountAdapter"
ACCOUNT_LOGIN_METHODS = {"email"}
ACCOUNT_SIGNUP_FIELDS = ["email*", "password1*"]
ACCOUNT_USER_MODEL_USERNAME_FIELD = None
ACCOUNT_EMAIL_VERIFICATION = "none"
ACCOUNT_UNIQUE_EMAIL = True
ACCOUNT_SESSION_REMEMBER = False
ACCOUNT_PREVENT_ENUMERATION = True
ACCOUNT_LOGOUT_ON_PASSWORD_CHANGE = False  # the session goes on with a new key; the others end
ACCOUNT_LOGOUT_REDIRECT_URL = "account_login"
ACCOUNT_EMAIL_NOTIFICATIONS = True
ACCOUNT_EMAIL_UNKNOWN_ACCOUNTS = False
ACCOUNT_EMAIL_SUBJECT_PREFIX = "[Khiên] "
ACCOUNT_FORMS = {
    "login": "khien.console.accounts.sign_in_forms.LoginForm",
    "reauthenticate": "khien.console.accounts.sign_in_forms.ReauthenticateForm",
    "change_password": "khien.console.accounts.sign_in_forms.ChangePasswordForm",
    "reset_password": "khien.console.accounts.sign_in_forms.ResetPasswordForm",
    "reset_password_from_key": "khien.console.accounts.sign_in_forms.NewPasswordForm",
}
ACCOUNT_RATE_LIMITS = {"reset_password": "20/h/ip,3/h/key"}
PASSWORD_RESET_TIMEOUT = 2 * 3600
MFA_ADAPTER = "khien.console.accounts.adapter.MfaAdapter"
MFA_FORMS = {
    "authenticate": "khien.console.accounts.factors.AuthenticateForm",
    "reauthenticate": "khien.console.accounts.factors.ReauthenticateForm",
    "authenticate_webauthn": "khien.console.accounts.factors.AuthenticateKeyForm",
    "login_webauthn": "khien.console.accounts.factors.LoginKeyForm",
    "reauthenticate_webauthn": "khien.console.accounts.factors.ReauthenticateKeyForm",
    "activate_totp": "khien.console.accounts.factors.ActivateAppForm",
    "add_webauthn": "khien.console.accounts.factors.AddKeyForm",
    "edit_webauthn": "khien.console.accounts.factors.EditKeyForm",
}
MFA_ALLOW_UNVERIFIED_EMAIL = True  # whoever has an account was invited
MFA_RECOVERY_CODES_SHOW_ONCE = True
MFA_TOTP_TOLERANCE = 1
MFA_SUPPORTED_TYPES = ["totp", "webauthn", "recovery_codes"]
MFA_PASSKEY_LOGIN_ENABLED = True
MFA_WEBAUTHN_ALLOW_INSECURE_ORIGIN = not _secure
MFA_TOTP_ISSUER = "Khien"
USERSESSIONS_TRACK_ACTIVITY = True

SESSION_COOKIE_AGE = 12 * 3600
SESSION_EXPIRE_AT_BROWSER_CLOSE = True
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = _secure
SESSION_COOKIE_SAMESITE = CSRF_COOKIE_SAMESITE = "Lax"
SESSION_COOKIE_HTTPONLY = True
SECURE_HSTS_SECONDS = 31_536_000 if _secure else 0
SECURE_REFERRER_POLICY = "same-origin"
SECURE_CONTENT_TYPE_NOSNIFF = True
SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https") if _flag("KHIEN_BEHIND_PROXY") else None
X_FRAME_OPTIONS = "DENY"
CONTENT_SECURITY_POLICY = {
    "DIRECTIVES": {
        "default-src": [NONE],
        "script-src": [SELF],
        "style-src": [SELF],
        "img-src": [SELF, "data:"],
        "font-src": [SELF],
        "connect-src": [SELF],
        "manifest-src": [SELF],
        "form-action": [SELF],
        "base-uri": [NONE],
        "frame-ancestors": [NONE],
    }
}
DATA_UPLOAD_MAX_MEMORY_SIZE = 5 << 20
FILE_UPLOAD_MAX_MEMORY_SIZE = 1 << 20
DATA_UPLOAD_MAX_NUMBER_FIELDS = 20_000

LANGUAGE_CODE = "vi"
LANGUAGES = [("vi", _("Vietnamese")), ("en", _("English"))]
USE_I18N = True
USE_TZ = True
TIME_ZONE = "Asia/Ho_Chi_Minh"
USE_THOUSAND_SEPARATOR = False  # ids in attributes stay whole; what people read goes through the filter `number`
FORMAT_MODULE_PATH = ["khien.console.formats"]
LOCALE_PATHS: list[Path] = []

STATIC_URL = "/static/"
STATIC_ROOT = None
STATICFILES_DIRS = [HERE / "static"]
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {"BACKEND": "khien.console.frame.versions.VersionedStorage"},
}
SERVESTATIC_USE_FINDERS = True
SERVESTATIC_MAX_AGE = 0 if DEBUG else 3600

WEBHOOK_NETWORKS = [each for each in os.environ.get("KHIEN_WEBHOOK_NETWORKS", "").replace(" ", "").split(",") if each]
"""Networks that webhooks may reach though they are not public, and without https."""

_mail = os.environ.get("KHIEN_MAIL_HOST", "")
EMAIL_BACKEND = "khien.console.notifications.outbox.Backend"
MAIL_TRANSPORT = (
    "django.core.mail.backends.smtp.EmailBackend" if _mail else "django.core.mail.backends.filebased.EmailBackend"
)
"""How mails leave the outbox: to the mail server, or, where none is named, into files."""
MAIL_PER_HOUR = int(os.environ.get("KHIEN_MAIL_PER_HOUR", "20"))
"""Mails to one person an hour; what is over it comes as a summary."""
EMAIL_FILE_PATH = str(DATA / "mail")
EMAIL_HOST = _mail
EMAIL_PORT = int(os.environ.get("KHIEN_MAIL_PORT", "587"))
EMAIL_HOST_USER = os.environ.get("KHIEN_MAIL_USER", "")
EMAIL_HOST_PASSWORD = os.environ.get("KHIEN_MAIL_PASSWORD", "")
EMAIL_USE_TLS = _flag("KHIEN_MAIL_TLS", "1")
EMAIL_TIMEOUT = 20
DEFAULT_FROM_EMAIL = os.environ.get("KHIEN_MAIL_FROM", "khien@localhost")

TASKS = {"default": {"BACKEND": "django_tasks_db.DatabaseBackend"}}
CACHES = {"default": {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"}}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
SILENCED_SYSTEM_CHECKS: list[str] = []
LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"line": {"format": "%(asctime)s %(levelname)s %(name)s %(message)s"}},
    "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "line"}},
    "root": {"handlers": ["stderr"], "level": os.environ.get("KHIEN_LOG_LEVEL", "WARNING")},
}
