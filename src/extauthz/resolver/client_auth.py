"""Client authentication towards the authorization server."""

from base64 import b64encode
from urllib.parse import quote

from extauthz.resolver.settings import ClientAuth, ServerSettings


def authorization_header(settings: ServerSettings) -> str:
    """The `Authorization` value for `client_secret_basic`, empty for other methods.

    Id and secret are form-encoded before they are joined (RFC 6749 §2.3.1). A space becomes `%20`: servers
    differ in how they read `+`, and all read `%20` alike.
    """
    if settings.client_auth is not ClientAuth.BASIC:
        return ""
    pair = f"{form_encode(settings.client_id)}:{form_encode(settings.client_secret)}"
    return "Basic " + b64encode(pair.encode()).decode()


def form_fields(settings: ServerSettings) -> str:
    """Form parameters for `client_secret_post`, empty for other methods."""
    if settings.client_auth is not ClientAuth.POST:
        return ""
    return f"&client_id={form_encode(settings.client_id)}&client_secret={form_encode(settings.client_secret)}"


def form_encode(text: str) -> str:
    """Percent-encode for `application/x-www-form-urlencoded`; safe for every character."""
    return quote(text, safe="")
