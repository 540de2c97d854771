"""Every route on one screen: who may call it, what it reads, what it answers. Tests and documents walk this table."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any, Final

from watchword.protocol.metadata import JWKS_PATH, METADATA_PATH, REVOCATIONS_PATH, REVOCATIONS_STREAM_PATH
from watchword.server.admin import registry, tokens, users
from watchword.server.admin import views as admin_views
from watchword.server.endpoints import (
    account,
    api_keys,
    basic_session,
    documents,
    email_change,
    login,
    recovery,
    signing_keys,
    views,
)
from watchword.server.pages import email_change as email_change_pages
from watchword.server.pages import pages
from watchword.server.pages import recovery as recovery_pages
from watchword.server.web.route import Route

__all__ = ["METRICS", "ROUTES"]

_open = partial(Route, tag="Log-in")
_own = partial(Route, auth="first-party", tag="Account")
_admin = partial(Route, auth="admin", tag="Administration")
_administer = partial(_admin, limit="administration")
_public = partial(Route, cors="public", tag="Standards")
_page = partial(Route, cors="none", media_type="text/html")

_PAGE: Final = (("cursor", "Where the page before ended"), ("limit", "How many, 1 to 200"))
_A: Final = "/admin/v1"

# fmt: off
ROUTES: Final[Sequence[Route]] = (
    _open("POST", "/auth/login", login.login, "Log in with e-mail or user name and password",
          body=views.LoginBody, answer=views.LoginView, faults=(401, 403, 429), limit="sign-ins"),
    _open("POST", "/auth/token", login.token, "Trade a refresh token, or an API key, for a new access token",
          body=views.TokenBody, optional_body=True, stands_in=("refresh",), answer=views.RefreshedView,
          faults=(401, 403, 429), limit="refreshes"),
    _open("POST", "/auth/logout", login.logout, "Log out: the session's access tokens die at once",
          body=views.LogoutBody, optional_body=True, stands_in=("bearer", "cookie", "refresh"), status=204,
          faults=(401, 403), limit="log-outs"),
    _open("POST", "/auth/basic", basic_session.basic_session, "Get a temporary user name and password for APIs",
          body=views.BasicBody, optional_body=True, stands_in=("bearer",), answer=views.BasicView,
          faults=(401, 403, 429), limit="pairs"),
    _open("POST", "/auth/register", account.register, "Make an account",
          body=views.RegisterBody, answer=views.RegisteredView, status=201, faults=(403, 409),
          limit="registrations"),
    _open("POST", "/auth/password/forgot", recovery.forgot_password, "Ask for a link to choose another password",
          body=views.ForgotBody, answer=views.ForgotView, status=202, faults=(404, 429), limit="resets"),
    _open("POST", "/auth/password/reset", recovery.reset_password, "Choose another password by such a link",
          body=views.ResetBody, status=204, faults=(401, 429), limit="resets"),
    _open("POST", "/auth/email/confirm", email_change.confirm_email, "Confirm a new e-mail address by such a link",
          body=views.ConfirmEmailBody, status=204, faults=(404, 409, 429), limit="resets"),
    _own("GET", "/auth/me", account.me, "The user", answer=views.UserView),
    _own("PATCH", "/auth/me", account.change_me, "Change name, user name or e-mail",
         body=views.ProfileBody, answer=views.UserView, accepted=views.PendingEmailView, faults=(404, 409, 429),
         limit="changes"),
    _own("DELETE", "/auth/me", account.delete_me, "Leave: account, sessions and tokens are gone",
         body=views.LeaveBody, optional_body=True, status=204, faults=(404, 429), limit="departures"),
    _own("GET", "/auth/sessions", account.list_sessions, "Where one is logged in", answer=views.SessionList),
    _own("DELETE", "/auth/sessions/{id}", account.end_session, "Log one device out", status=204, faults=(404,),
         limit="removals"),
    _own("GET", "/auth/api-keys", api_keys.list_keys, "Which API keys one has", answer=api_keys.ApiKeyList),
    _own("POST", "/auth/api-keys", api_keys.create, "Make an API key; its text is shown this once",
         body=api_keys.ApiKeyBody, answer=api_keys.NewApiKeyView, status=201, faults=(409, 429), limit="changes"),
    _own("DELETE", "/auth/api-keys/{id}", api_keys.revoke, "End an API key: its access tokens die at once",
         status=204, faults=(404,), limit="removals"),
    _own("GET", "/auth/signing-keys", signing_keys.list_keys, "Which keys one's requests are signed with",
         answer=signing_keys.SigningKeyList),
    _own("POST", "/auth/signing-keys", signing_keys.create, "Hand in the public key that requests are signed with",
         body=signing_keys.SigningKeyBody, answer=signing_keys.SigningKeyView, status=201,
         faults=(409,), limit="changes"),
    _own("DELETE", "/auth/signing-keys/{id}", signing_keys.revoke, "End a signing key: what it signs is refused",
         status=204, faults=(404,), limit="removals"),
    _own("POST", "/auth/password", account.change_password, "Change the password; other sessions end",
         body=views.PasswordBody, status=204, faults=(429,), limit="passwords"),

    _admin("GET", f"{_A}/users", users.list_users, "List users", answer=admin_views.UserList, faults=(422,),
           query=(("q", "Found in e-mail, user name or name"), *_PAGE)),
    _administer("POST", f"{_A}/users", users.create, "Make a user", body=admin_views.NewUserBody,
           answer=admin_views.AdminUserView, status=201, faults=(409,)),
    _admin("GET", f"{_A}/users/{{id}}", users.get, "One user", answer=admin_views.AdminUserView, faults=(404,)),
    _administer("PATCH", f"{_A}/users/{{id}}", users.update, "Change a user; roles act on issued tokens",
           body=admin_views.UserBody, answer=admin_views.AdminUserView, faults=(404, 409)),
    _administer("DELETE", f"{_A}/users/{{id}}", users.delete, "Delete a user", status=204, faults=(404,)),
    _administer("POST", f"{_A}/users/{{id}}/ban", users.ban, "Ban a user: his tokens die", optional_body=True,
           body=admin_views.BanBody, answer=admin_views.AdminUserView, faults=(404,)),
    _administer("POST", f"{_A}/users/{{id}}/unban", users.unban, "Lift a ban", answer=admin_views.AdminUserView,
           faults=(404,)),
    _admin("GET", f"{_A}/users/{{id}}/sessions", users.list_sessions, "Where a user is logged in",
           answer=views.SessionList, faults=(404,)),
    _administer("DELETE", f"{_A}/users/{{id}}/sessions", users.end_sessions, "Log a user out everywhere",
           answer=admin_views.SessionsEnded, faults=(404,)),
    _admin("GET", f"{_A}/users/{{id}}/api-keys", users.list_api_keys, "Which API keys a user has",
           answer=api_keys.ApiKeyList, faults=(404,)),
    _administer("DELETE", f"{_A}/users/{{id}}/api-keys/{{key}}", users.revoke_api_key, "End a user's API key",
           status=204, faults=(404,)),
    _admin("GET", f"{_A}/users/{{id}}/signing-keys", users.list_signing_keys, "Which signing keys a user has",
           answer=signing_keys.SigningKeyList, faults=(404,)),
    _administer("DELETE", f"{_A}/users/{{id}}/signing-keys/{{key}}", users.revoke_signing_key,
           "End a user's signing key", status=204, faults=(404,)),
    _administer("DELETE", f"{_A}/sessions/{{id}}", users.end_session, "End one session", status=204, faults=(404,)),
    _admin("GET", f"{_A}/roles", registry.list_roles, "List roles", answer=admin_views.RoleList),
    _administer("POST", f"{_A}/roles", registry.add_role, "Make or change a role", body=admin_views.RoleBody,
           answer=admin_views.RoleView),
    _administer("PUT", f"{_A}/roles/{{name}}", registry.set_role, "Say what a role may carry",
           body=admin_views.ScopeBody, answer=admin_views.RoleView, faults=(404,)),
    _administer("DELETE", f"{_A}/roles/{{name}}", registry.delete_role, "Delete a role", status=204, faults=(404, 409)),
    _admin("GET", f"{_A}/apis", registry.list_apis, "List protected APIs", answer=admin_views.ApiList),
    _administer("POST", f"{_A}/apis", registry.add_api, "Add a protected API", body=admin_views.ApiBody,
           answer=admin_views.ApiView, status=201, faults=(409,)),
    _administer("PATCH", f"{_A}/apis/{{audience:path}}", registry.change_api, "Encrypt an API's tokens, or no more",
           body=admin_views.ApiChangeBody, answer=admin_views.ApiView, faults=(404,)),
    _administer("DELETE", f"{_A}/apis/{{audience:path}}", registry.delete_api, "Delete a protected API", status=204,
           faults=(404, 409)),
    _admin("GET", f"{_A}/keys", registry.list_keys, "List signing keys", answer=admin_views.KeyList,
           faults=(422,), query=(("purpose", "token or feed"),)),
    _administer("POST", f"{_A}/keys/rotate", registry.rotate_keys, "Rotate the signing key", optional_body=True,
           body=admin_views.RotateBody, answer=admin_views.RotationView),
    _administer("POST", f"{_A}/keys/{{kid}}/compromise", registry.compromise_key, "Kill a key and its tokens",
           answer=admin_views.KeyView, faults=(404,)),
    _administer("POST", f"{_A}/tokens/revoke", tokens.revoke, "Kill one access token", body=admin_views.RevokeBody,
           answer=admin_views.RevokedView),
    _administer("POST", f"{_A}/tokens/revoke-all", tokens.revoke_all, "Kill every access token; sessions go on",
           status=204),
    _admin("GET", f"{_A}/events", registry.list_events, "Read the audit log", answer=admin_views.EventList,
           faults=(422,), query=(("type", "One type alone"), ("user_id", "One user alone"), *_PAGE)),

    _public("GET", JWKS_PATH, documents.jwks, "The keys that verify access tokens", answer=dict[str, Any],
            instant=True),
    _public("GET", METADATA_PATH, documents.metadata, "What this server offers",
            answer=dict[str, Any], instant=True),
    _public("GET", REVOCATIONS_PATH, documents.revocations, "The revocation feed as one signed message",
            media_type="application/jwt", faults=(304, 401),
            query=(("after", "Only what came after this sequence"), ("nonce", "As of now, and signed with this"))),
    _public("GET", REVOCATIONS_STREAM_PATH, documents.stream, "The revocation feed as server-sent events",
            media_type="text/event-stream", faults=(401,)),
    _public("GET", "/healthz", documents.healthz, "The process is up", answer=dict[str, str], tag="Operation",
            plain=True, instant=True),
    _public("GET", "/readyz", documents.readyz, "It may get traffic", answer=dict[str, Any], tag="Operation",
            plain=True),
    Route("GET", "/metrics", documents.metrics, "Counters for Prometheus", media_type="text/plain", tag="Operation",
          faults=(401, 404)),
    Route("GET", "/openapi.json", pages.openapi, "This API as OpenAPI 3.1", answer=dict[str, Any], tag="Operation"),

    _page("GET", "/", pages.index, "What this is"),
    _page("GET", "/docs", pages.docs, "Each call as a curl line"),
    _page("GET", "/static/{name}", pages.static, "Styles", media_type="text/css", faults=(404,)),
    _page("GET", "/setup", pages.setup_form, "Set up the first administrator", faults=(404,)),
    _page("GET", "/forgot", recovery_pages.forgot_form, "Ask for a link to choose another password", faults=(404,)),
    _page("POST", "/forgot", recovery_pages.forgot, "Ask for a link to choose another password", form=True,
          faults=(403, 404, 422, 429), limit="resets"),
    _page("GET", "/reset", recovery_pages.reset_form, "Choose another password", faults=(401,)),
    _page("POST", "/reset", recovery_pages.reset, "Choose another password", form=True,
          faults=(401, 403, 422, 429), limit="resets"),
    _page("GET", "/confirm-email", email_change_pages.confirm_form, "Confirm a new e-mail address", faults=(404,)),
    _page("POST", "/confirm-email", email_change_pages.confirm, "Confirm a new e-mail address", form=True,
          faults=(403, 404, 409, 429), limit="resets"),
    _page("POST", "/setup", pages.setup, "Set up the first administrator", form=True, faults=(403, 404, 422),
          limit="setup"),
)
# fmt: on

METRICS: Final[Sequence[Route]] = (
    Route(
        "GET", "/metrics", documents.metrics, "Counters for Prometheus", media_type="text/plain", plain=True
    ),
)
"""What the listener of the metrics serves: it is for machines of ours, so it takes no TLS."""
