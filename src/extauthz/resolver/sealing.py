"""Keys, and what is made with them: hashes that stand for tokens and names, and boxes that only we can open.

Of one secret of 32 bytes come three keys that have nothing to do with each other (HKDF, RFC 5869): for hashes of tokens,
for hashes of other names, and for values in the shared cache. Values are sealed by AES-256-GCM with a key of their own
for each token, so the bound on random nonces for one key (2**32 boxes, NIST SP 800-38D §8.3) is never near.
"""

import hashlib
import hmac
import os
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, Self

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

SECRET_BYTES: Final = 32
TOKEN_HASH_BYTES: Final = 24
_NONCE_BYTES: Final = 12


@dataclass(frozen=True, slots=True, kw_only=True)
class Keys:
    """Everything derived from one secret. Processes that share the secret make the same hashes and open the same boxes."""

    tokens: bytes = field(repr=False)
    names: bytes = field(repr=False)
    values: bytes = field(repr=False)

    @classmethod
    def derive(cls, secret: bytes) -> Self:
        """All keys of a secret."""
        extracted = hmac.digest(bytes(SECRET_BYTES), secret, "sha256")

        def key(purpose: str) -> bytes:
            return hmac.digest(extracted, f"extauthz 1 {purpose}".encode() + b"\x01", "sha256")

        return cls(tokens=key("tokens"), names=key("names"), values=key("values"))

    def token_hash(self, token: str) -> bytes:
        """Stands for a token; without the key nobody can tell which, nor test a guess."""
        return hashlib.blake2b(token.encode(), key=self.tokens, digest_size=TOKEN_HASH_BYTES).digest()

    def name_hash(self, kind: str, name: str) -> str:
        """Stands for the name of somebody or something, likewise."""
        return hashlib.blake2b(f"{kind}\0{name}".encode(), key=self.names, digest_size=TOKEN_HASH_BYTES).hexdigest()

    def seal(self, plain: bytes, *, bound_to: bytes, header: bytes) -> bytes:
        """A box that opens with these keys, for the same `bound_to`, behind the same header; the header is readable."""
        nonce = os.urandom(_NONCE_BYTES)
        return header + nonce + self._cipher(bound_to).encrypt(nonce, plain, header + bound_to)

    def open(self, box: bytes, *, bound_to: bytes, header_bytes: int) -> bytes | None:
        """What is in a box, or None when it is not one of ours, not for `bound_to`, or was changed in any bit."""
        from cryptography.exceptions import InvalidTag  # noqa: PLC0415 - takes 6 MiB, and without Redis there is no box

        header, nonce = box[:header_bytes], box[header_bytes : header_bytes + _NONCE_BYTES]
        try:
            return self._cipher(bound_to).decrypt(nonce, box[header_bytes + _NONCE_BYTES :], header + bound_to)
        except (InvalidTag, ValueError):
            return None

    def _cipher(self, bound_to: bytes) -> "AESGCM":
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM  # noqa: PLC0415 - see above

        return AESGCM(hmac.digest(self.values, bound_to, "sha256"))
