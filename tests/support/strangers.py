"""What the suites of three other servers ask of introspection and revocation, and what ours answers.

The suites are those of node's oidc-provider, Authlib and django-oauth-toolkit. Each case is named after what it is about
there; where we answer otherwise on purpose, `differs` says what they answer and why we do not.
"""

from dataclasses import dataclass, field
from typing import Any

OWNER, SERVER, OTHER = (("app", "s3cret"), ("rs", "s3cret"), ("other", "s3cret"))
WRONG, NOBODY = (("app", "wrong"), ("nobody", "s3cret"))

ACTIVE = {"active": True, "client_id": "app"}
INACTIVE = {"active": False}
ANY = object()
"""Whatever it is, it has to be there."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One question and its answer: the status, and members of the body; of an inactive answer there is no other."""

    suite: str
    about: str
    form: dict[str, str] = field(default_factory=dict)
    """`token` names one of the tokens of the world, or is sent as it stands."""
    auth: tuple[str, str] | None = OWNER
    headers: dict[str, str] = field(default_factory=dict)
    method: str = "POST"
    status: int = 200
    says: dict[str, Any] = field(default_factory=dict)
    absent: tuple[str, ...] = ()
    differs: str = ""


def hints(suite: str, token: str, says: dict[str, Any], *values: str) -> list[Case]:
    """The same answer with each hint, and without one."""
    named = [Case(suite=suite, about=f"{token} token, no hint", form={"token": token}, says=says)]
    return named + [
        Case(
            suite=suite, about=f"{token} token, hint {hint}", form={"token": token, "token_type_hint": hint}, says=says
        )
        for hint in values
    ]


OIDC, AUTHLIB, DJANGO = "oidc-provider", "Authlib", "django-oauth-toolkit"
USER = ACTIVE | {"sub": "u1", "scope": "read write"}
EVERY_HINT = ("access_token", "refresh_token", "client_credentials", "foobar")
WHOLE = ACTIVE | {"scope": "read write", "username": "jdoe", "exp": ANY}

INTROSPECTION = [
    *hints(OIDC, "access", USER, *EVERY_HINT),
    *hints(OIDC, "refresh", USER, *EVERY_HINT),
    *hints(OIDC, "machine", ACTIVE, *EVERY_HINT),
    Case(
        suite=OIDC,
        about="a resource server asks about a client's refresh token",
        form={"token": "refresh"},
        auth=SERVER,
        says=INACTIVE,
        differs="active: a refresh token is for its client and us, so nobody else needs to know",
    ),
    Case(
        suite=OIDC,
        about="a resource server asks about a client's access token",
        form={"token": "access"},
        auth=SERVER,
        says=USER,
    ),
    Case(suite=OIDC, about="no token", status=400, says={"error": "invalid_request", "error_description": ANY}),
    Case(suite=OIDC, about="no token at all, but text", form={"token": "this is not even a token"}, says=INACTIVE),
    Case(
        suite=OIDC,
        about="a public client asks about a token of another",
        form={"token": "access", "client_id": "public"},
        auth=None,
        status=401,
        says={"error": "invalid_client"},
        differs="inactive: who proves nothing is not answered",
    ),
    Case(suite=OIDC, about="a wrong secret", auth=WRONG, status=401, says={"error": "invalid_client"}),
    Case(suite=OIDC, about="an expired token", form={"token": "expired"}, says=INACTIVE),
    Case(suite=OIDC, about="a consumed token", form={"token": "used"}, says=INACTIVE),
    *(
        Case(suite=AUTHLIB, about=about, auth=auth, headers=headers, status=401, says={"error": "invalid_client"})
        for about, auth, headers in (
            ("no credentials", None, {}),
            ("another scheme", None, {"authorization": "invalid token_string"}),
            ("an unknown client", NOBODY, {}),
            ("a wrong secret", WRONG, {}),
        )
    ),
    Case(suite=AUTHLIB, about="no form", status=400, says={"error": "invalid_request"}),
    Case(
        suite=AUTHLIB,
        about="a hint alone",
        form={"token_type_hint": "refresh_token"},
        status=400,
        says={"error": "invalid_request"},
    ),
    Case(
        suite=AUTHLIB,
        about="a hint that nobody knows",
        form={"token": "access", "token_type_hint": "unsupported_token_type"},
        says=ACTIVE,
        differs="unsupported_token_type: RFC 7662 §2.1 lets a server ignore hints, and we do",
    ),
    Case(suite=AUTHLIB, about="an unknown token", form={"token": "invalid-token"}, says=INACTIVE),
    *hints(AUTHLIB, "access", ACTIVE, "access_token"),
    Case(
        suite=DJANGO,
        about="GET without credentials",
        method="GET",
        auth=None,
        status=405,
        differs="403: there is no GET, with or without",
    ),
    Case(
        suite=DJANGO,
        about="GET with the token in the URL",
        method="GET",
        form={"token": "access"},
        status=405,
        differs="active: RFC 7662 §2.1 asks for POST, because URLs are logged",
    ),
    Case(
        suite=DJANGO,
        about="a bearer token of a resource server",
        form={"token": "access"},
        auth=None,
        headers={"authorization": "Bearer {access}"},
        status=401,
        says={"error": "invalid_client"},
        differs="active: clients prove themselves, no token does",
    ),
    Case(suite=DJANGO, about="a valid token", form={"token": "access"}, says=WHOLE),
    Case(
        suite=DJANGO,
        about="a token without a user",
        form={"token": "machine"},
        says=ACTIVE | {"scope": "read", "exp": ANY},
        absent=("username", "sub"),
    ),
    Case(suite=DJANGO, about="an expired token", form={"token": "expired"}, says=INACTIVE),
    Case(
        suite=DJANGO,
        about="a token that does not exist",
        form={"token": "kaudawelsch"},
        says=INACTIVE,
        differs="some releases say 401 with the same body: RFC 7662 §2.2 has 200",
    ),
    Case(
        suite=DJANGO,
        about="credentials in the body",
        form={"token": "access", "client_id": "app", "client_secret": "s3cret"},
        auth=None,
        says=WHOLE,
    ),
    *(
        Case(
            suite=DJANGO,
            about=about,
            form={"token": "access"} | more,
            auth=auth,
            status=401,
            says={"error": "invalid_client"},
            differs="403: RFC 7662 §2.3 has 401",
        )
        for about, auth, more in (
            ("a wrong secret in the header", WRONG, {}),
            ("a wrong secret in the body", None, {"client_id": "app", "client_secret": "wrong"}),
        )
    ),
]

REVOCATION = [
    *(
        Case(suite=AUTHLIB, about=about, form={"token": "access"}, auth=auth, status=401)
        for about, auth in (("no credentials", None), ("an unknown client", NOBODY), ("a wrong secret", WRONG))
    ),
    Case(suite=AUTHLIB, about="no token", status=400),
    Case(suite=AUTHLIB, about="an unknown token", form={"token": "invalid-token"}),
    Case(
        suite=AUTHLIB,
        about="a token of another client",
        form={"token": "access"},
        auth=OTHER,
        differs="400 invalid_grant: the 200 tells nothing about other people's tokens, and the token stays good",
    ),
    Case(
        suite=DJANGO,
        about="a public client",
        form={"token": "access", "client_id": "public"},
        auth=None,
        status=401,
        differs="200: who proves nothing revokes nothing",
    ),
]
