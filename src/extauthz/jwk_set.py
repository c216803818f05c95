"""A set of public keys (RFC 7517), read with suspicion."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from extauthz.core.introspection import MAX_ANSWER_BYTES
from extauthz.core.strict_json import GarbageError, strict_object
from extauthz.keyfiles import UnusableError, read_file

if TYPE_CHECKING:
    from extauthz.signatures import PublicKey

MAX_KEYS: Final = 64
"""More keys in one document are not looked at."""


@dataclass(frozen=True, slots=True, kw_only=True)
class VerificationKey:
    """A public key. `kid` is empty when the document gives none; `algorithms` are those that it may be used with."""

    kid: str
    algorithms: tuple[str, ...]
    key: "PublicKey"


@dataclass(frozen=True, slots=True, kw_only=True)
class KeySet:
    """The keys of one issuer."""

    keys: tuple[VerificationKey, ...] = ()

    def candidates(self, kid: str | None, algorithm: str) -> tuple[VerificationKey, ...]:
        """The keys that may have signed a token with this header; a token without `kid` may be of any that fits."""
        return tuple(
            key for key in self.keys if algorithm in key.algorithms and (kid in (None, key.kid) or not key.kid)
        )


def read_jwks(body: bytes) -> KeySet:
    """The usable keys of a document; others in it are passed over, as RFC 7517 §5 asks.

    Raises:
        GarbageError: when it is no set of keys.
    """
    keys = strict_object(body).get("keys")
    if not isinstance(keys, list):
        raise GarbageError("the document has no list of keys")
    return KeySet(keys=tuple(key for one in keys[:MAX_KEYS] if (key := _read_key(one)) is not None))


def _read_key(jwk: object) -> VerificationKey | None:
    """A public key for signatures; None for any other, also for a private one: whoever reads it could sign with it."""
    if not isinstance(jwk, dict) or jwk.get("use", "sig") != "sig":
        return None
    operations, kid, algorithm = jwk.get("key_ops", ["verify"]), jwk.get("kid", ""), jwk.get("alg")
    if not isinstance(operations, list) or "verify" not in operations or not isinstance(kid, str):
        return None
    from extauthz import signatures  # noqa: PLC0415 - as that module says

    key = signatures.read_public_key(jwk)
    if key is None:
        return None
    usable = tuple(name for name in signatures.algorithms_of(key) if algorithm in (None, name))
    return VerificationKey(kid=kid, algorithms=usable, key=key) if usable else None


def read_jwks_file(path: Path) -> KeySet:
    """The usable keys of a file.

    Raises:
        UnusableError: when there are none.
    """
    try:
        keys = read_jwks(read_file(path, MAX_ANSWER_BYTES))
    except GarbageError:
        raise UnusableError('this file has no JWK set: {"keys": […]}') from None
    if not keys.keys:
        raise UnusableError("this file has no key that can verify a signature")
    return keys
