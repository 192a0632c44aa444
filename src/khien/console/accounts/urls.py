"""Signing in, one's own account, and the accounts of others.

Of allauth's pages only those are here that make sense where people are invited: nobody signs up, changes the e-mail
that is the account's name, or comes in by another site's account.
"""

from allauth.account import views as account
from allauth.mfa.base import views as mfa
from allauth.mfa.recovery_codes import views as codes
from allauth.mfa.totp import views as totp
from allauth.mfa.webauthn import views as webauthn
from django.urls import include, path, re_path

from khien.console.accounts.views import joining, people, profile, signing

own = [
    path("join/<str:token>/", joining.join, name="join"),
    path("join/", joining.join_form, name="join_form"),
    path("profile/", profile.profile, name="profile"),
    path("keys/", profile.own_keys, name="keys"),
    path("keys/all/", profile.all_keys, name="all_keys"),
    path("keys/<int:pk>/revoke/", profile.revoke_key, name="revoke_key"),
    path("people/", people.users, name="users"),
    path("people/invitations/", people.invited, name="invitations"),
    path("people/invitations/<int:pk>/", people.invitation, name="invitation"),
    path("people/<int:pk>/", people.user, name="user"),
    path("people/<int:pk>/act/", people.act, name="act"),
    path("people/<int:pk>/reset-factors/", people.reset_factors, name="reset_factors"),
]

urlpatterns = [
    path("", include((own, "accounts"))),
    path("login/", account.login, name="account_login"),
    path("logout/", account.logout, name="account_logout"),
    path("inactive/", account.account_inactive, name="account_inactive"),
    path("reauthenticate/", account.reauthenticate, name="account_reauthenticate"),
    path("password/change/", account.password_change, name="account_change_password"),
    path("password/reset/", account.password_reset, name="account_reset_password"),
    path("password/reset/done/", account.password_reset_done, name="account_reset_password_done"),
    re_path(
        r"^password/reset/key/(?P<uidb36>[0-9A-Za-z]+)-(?P<key>.+)/$",
        account.password_reset_from_key,
        name="account_reset_password_from_key",
    ),
    path("password/reset/key/done/", account.password_reset_from_key_done, name="account_reset_password_from_key_done"),
    path("2fa/", mfa.index, name="mfa_index"),
    path("2fa/authenticate/", mfa.authenticate, name="mfa_authenticate"),
    path("2fa/reauthenticate/", mfa.reauthenticate, name="mfa_reauthenticate"),
    path("2fa/totp/activate/", totp.activate_totp, name="mfa_activate_totp"),
    path("2fa/totp/deactivate/", totp.deactivate_totp, name="mfa_deactivate_totp"),
    path("2fa/recovery-codes/", codes.view_recovery_codes, name="mfa_view_recovery_codes"),
    path("2fa/recovery-codes/generate/", codes.generate_recovery_codes, name="mfa_generate_recovery_codes"),
    path("2fa/webauthn/", webauthn.list_webauthn, name="mfa_list_webauthn"),
    path("2fa/webauthn/add/", webauthn.add_webauthn, name="mfa_add_webauthn"),
    path("2fa/webauthn/login/", webauthn.login_webauthn, name="mfa_login_webauthn"),
    path("2fa/webauthn/reauthenticate/", webauthn.reauthenticate_webauthn, name="mfa_reauthenticate_webauthn"),
    path("2fa/webauthn/keys/<int:pk>/edit/", webauthn.edit_webauthn, name="mfa_edit_webauthn"),
    path("2fa/webauthn/keys/<int:pk>/remove/", signing.RemoveKeyView.as_view(), name="mfa_remove_webauthn"),
    path("sessions/", signing.own_sessions, name="usersessions_list"),
]
