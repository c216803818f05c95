"""What a JWT access token says, once its signature is verified (RFC 9068 §4, RFC 8725).

1. shape      three parts; anything else is no JWT, and not for us
2. parts      strict base64url, strict JSON, no member twice
3. header     a type that access tokens have; an algorithm of the list; nothing critical that we do not know
4. claims     the issuer, character for character; `exp` and `nbf`; `aud` must be there
5. kind       an access token, and no ID token or logout token of the same issuer
6. key        of the issuer, for this algorithm alone
7. signature
8. state      the claims read like an introspection answer, by the same rules

Steps 1 to 5 need no key, so that no token of somebody else makes us look for keys. Pure: no clock, no input or output.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

from extauthz.core.decision import Reason
from extauthz.core.introspection import Active, Inactive, read_members
from extauthz.core.jws import Jws, is_jws, parse_jws
from extauthz.core.leniency import STRICT, Leniency
from extauthz.core.strict_json import GarbageError
from extauthz.core.token import Token
from extauthz.jwk_set import KeySet, VerificationKey

ALGORITHMS: Final = ("RS256", "PS256", "ES256", "EdDSA", "Ed25519")
"""Accepted unless the operator names others; never one with a shared secret, never `none`."""

MAX_KID_LENGTH: Final = 256
"""A longer one is no key's."""

MAX_CANDIDATES: Final = 8
"""Keys that are tried for one token."""

_NOT_IN_ACCESS_TOKENS: Final = frozenset({"nonce", "at_hash", "c_hash", "s_hash"})
"""Claims of ID tokens (OpenID Connect Core §2, §3.3.2.11)."""

_NEVER_IN_ACCESS_TOKENS: Final = frozenset({"events", "token_introspection", "htm", "htu"})
"""Claims of logout tokens and security events, of introspection answers, and of DPoP proofs."""

_IN_ACCESS_TOKENS: Final = frozenset({"scope", "scp", "client_id", "cid", "appid", "idtyp"})
"""Claims that access tokens have and ID tokens lack; one of them must be there where the type does not tell."""

_REFUSED: Final = Inactive()


@dataclass(frozen=True, slots=True, kw_only=True)
class JwtSettings:
    """Which JWTs of one issuer are access tokens for us.

    Attributes:
        issuer: `iss`.
        algorithms: values of `alg` that are accepted.
        types: values of `typ` that are accepted, in lower case and without `application/`. `jwt` stands for a token
            that does not say what it is; it must then look like an access token.
        audience: names of ours, one of which `aud` must have; empty leaves that to the routes.
        scope_claims: where scopes are; the first claim that is there counts.
        leeway: seconds of clock difference granted to `exp` and `nbf`.
        leniency: which shapes beside the standard's claims may have.
    """

    issuer: str
    algorithms: tuple[str, ...] = ALGORITHMS
    types: tuple[str, ...] = ("at+jwt",)
    audience: tuple[str, ...] = ()
    scope_claims: tuple[str, ...] = ("scope",)
    leeway: float = 60.0
    leniency: Leniency = STRICT


@dataclass(frozen=True, slots=True, kw_only=True)
class Verified:
    """A token whose signature is good. `issued_at` in seconds since the epoch; None when the token does not say."""

    state: Active
    issued_at: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Signed:
    """A token with nothing against it but that its signature is still to be verified."""

    jws: Jws
    algorithm: str
    kid: str | None


@dataclass(frozen=True, slots=True)
class UnknownKey:
    """The token names a key that we do not have."""


class JwtJudge:
    """Judges the tokens of one issuer."""

    def __init__(self, settings: JwtSettings) -> None:
        self._settings = settings

    def inspect(self, token: Token, now: float) -> Signed | Inactive | None:
        """Steps 1 to 5. None when it is no JWT. `now` in seconds since the epoch."""
        text = token.reveal()
        if not is_jws(text):
            return None
        try:
            jws = parse_jws(text)
        except GarbageError:
            return _REFUSED
        signed = _read_header(jws, self._settings)
        if isinstance(signed, Inactive):
            return signed
        why_not = self._why_not(jws.claims, now) or _wrong_kind(jws)
        return signed if why_not is None else Inactive(reason=why_not)

    def _why_not(self, claims: Mapping[str, Any], now: float) -> Reason | None:
        """Step 4."""
        settings = self._settings
        if claims.get("iss") != settings.issuer:
            return Reason.WRONG_ISSUER
        exp, nbf = _time(claims.get("exp")), _time(claims.get("nbf"))
        if exp is None or (nbf is None and claims.get("nbf") is not None):
            return Reason.INACTIVE
        if exp + settings.leeway <= now:
            return Reason.EXPIRED
        if nbf is not None and nbf - settings.leeway > now:
            return Reason.NOT_YET_VALID
        aud = claims.get("aud")
        names = aud if isinstance(aud, list) else [aud]
        if not names or not all(isinstance(name, str) and name for name in names):
            return Reason.WRONG_AUDIENCE
        return Reason.WRONG_AUDIENCE if settings.audience and not {*settings.audience} & {*names} else None

    def verify(self, signed: Signed, keys: KeySet) -> Verified | Inactive | UnknownKey:
        """Steps 6 to 8."""
        candidates = keys.candidates(signed.kid, signed.algorithm)[:MAX_CANDIDATES]
        if not candidates:
            return UnknownKey()
        if not any(_is_signed_with(candidate, signed) for candidate in candidates):
            return _REFUSED
        return self._state(signed.jws.claims)

    def _state(self, claims: Mapping[str, Any]) -> Verified | Inactive:
        """Step 8."""
        settings = self._settings
        where = next((name for name in settings.scope_claims if name in claims), "")
        members = {**claims, "active": True, "scope": claims.get(where)}
        leniency = settings.leniency if where == "scope" else replace(settings.leniency, scope_array=True)
        state = read_members(members, issuer=settings.issuer, leniency=leniency)
        if isinstance(state, Active):
            return Verified(state=state, issued_at=_time(claims.get("iat")))
        return state if isinstance(state, Inactive) else _REFUSED


def _read_header(jws: Jws, settings: JwtSettings) -> Signed | Inactive:
    """Step 3. Keys that the header brings along are not looked at."""
    algorithm, kid = jws.header.get("alg"), jws.header.get("kid")
    if algorithm not in settings.algorithms or "crit" in jws.header or "b64" in jws.header:
        return _REFUSED
    if kid is not None and (not isinstance(kid, str) or len(kid) > MAX_KID_LENGTH):
        return _REFUSED
    if _type(jws) not in settings.types:
        return Inactive(reason=Reason.NOT_AN_ACCESS_TOKEN)
    return Signed(jws=jws, algorithm=algorithm, kid=kid)


def _type(jws: Jws) -> str:
    """The media type, as RFC 7515 §4.1.9 writes it; a token without one is a JWT and no more."""
    kind = jws.header.get("typ", "jwt")
    return kind.lower().removeprefix("application/") if isinstance(kind, str) else ""


def _wrong_kind(jws: Jws) -> Reason | None:
    """Step 5."""
    claims = jws.claims.keys()
    if claims & _NEVER_IN_ACCESS_TOKENS:
        return Reason.NOT_AN_ACCESS_TOKEN
    if _type(jws) != "jwt" or jws.claims.get("typ") == "Bearer":
        return None
    looks_like_one = claims & _IN_ACCESS_TOKENS and not claims & _NOT_IN_ACCESS_TOKENS
    return None if looks_like_one else Reason.NOT_AN_ACCESS_TOKEN


def _is_signed_with(candidate: VerificationKey, signed: Signed) -> bool:
    """Step 7."""
    from extauthz.signatures import is_signed  # noqa: PLC0415 - as that module says

    return is_signed(signed.jws.signed, signed.jws.signature, candidate.key, signed.algorithm)


def _time(value: object) -> float | None:
    """Seconds since the epoch; None for anything that `core.introspection` would not read as such either."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 2**53:
        return None
    return float(value)
