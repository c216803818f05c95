"""Reading ``application/x-www-form-urlencoded`` bodies as OAuth wants them read (RFC 6749 §3.2, appendix B)."""

from __future__ import annotations

from urllib.parse import parse_qsl, unquote_plus

from extauthz.authserver.errors import ErrorCode, OAuthError


def is_form(content_types: list[bytes]) -> bool:
    """Tell whether the values of the Content-Type header name a form; parameters such as a charset do not matter."""
    return [value.partition(b";")[0].strip().lower() for value in content_types] == [
        b"application/x-www-form-urlencoded"
    ]


def parse_form(body: bytes) -> dict[str, str]:
    """Return the parameters; one without a value is treated as left out (RFC 6749 §3.2).

    Raises ``OAuthError`` (``invalid_request``) for a body that is not UTF-8 and for a repeated parameter.
    """
    form: dict[str, str] = {}
    try:
        for pair in body.decode().split("&"):
            if not pair:
                continue
            name, _, value = pair.partition("=")
            name = _decoded(name)
            if name in form:
                raise OAuthError(ErrorCode.INVALID_REQUEST, "A parameter is repeated")
            form[name] = _decoded(value)
    except UnicodeDecodeError:
        raise OAuthError(ErrorCode.INVALID_REQUEST, "The form is not UTF-8") from None
    return {name: value for name, value in form.items() if value}


def _decoded(text: str) -> str:
    return unquote_plus(text, errors="strict") if "%" in text or "+" in text else text


def parse_query_names(query: bytes) -> frozenset[str]:
    """Return the names of the parameters in a query string, whatever bytes it is made of."""
    return frozenset(name for name, _ in parse_qsl(query.decode("latin-1"), keep_blank_values=True))
