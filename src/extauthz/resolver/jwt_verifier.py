"""The verdict about a JWT by the issuer's keys of now; one look for new keys if it names an unknown one."""

import asyncio
from collections.abc import Callable

from extauthz.core.decision import Reason
from extauthz.core.introspection import Inactive, TokenState, Unavailable
from extauthz.core.token import Token
from extauthz.jwk_set import KeySet
from extauthz.resolver.jwks import Keys
from extauthz.resolver.jwt import JwtJudge, Signed, UnknownKey, Verified

_NO_JWT = Inactive()
_NO_KEYS_YET = Unavailable(reason=Reason.SERVER_TIMEOUT, detail="keys: no answer in time")


class JwtVerifier:
    """Verifies the tokens of one issuer. Owns the keys, which `close` closes.

    Args:
        patience: seconds that a token waits for keys; fetching them goes on.
    """

    def __init__(self, judge: JwtJudge, keys: Keys, *, wall: Callable[[], float], patience: float) -> None:
        self._judge = judge
        self._keys = keys
        self._wall = wall
        self._patience = patience

    async def verify(self, token: Token) -> Verified | Inactive | Unavailable | None:
        """What the token says, or why it does not count; None when it is no JWT. Never raises."""
        signed = self._judge.inspect(token, self._wall())
        if not isinstance(signed, Signed):
            return signed
        try:
            async with asyncio.timeout(self._patience):
                return await self._verify(signed)
        except TimeoutError:
            return _NO_KEYS_YET

    async def _verify(self, signed: Signed) -> Verified | Inactive | Unavailable:
        verdict = self._by(await self._keys.current(), signed)
        if isinstance(verdict, UnknownKey):
            verdict = self._by(await self._keys.renewed(), signed)
        return Inactive(cacheable=False) if isinstance(verdict, UnknownKey) else verdict

    def _by(self, keys: KeySet | Unavailable, signed: Signed) -> Verified | Inactive | UnknownKey | Unavailable:
        return keys if isinstance(keys, Unavailable) else self._judge.verify(signed, keys)

    async def prepare(self) -> None:
        """Fetch the keys before a token needs them."""
        await self._keys.current()

    async def ask(self, token: Token, /) -> TokenState:
        """The verdict alone; what is no JWT is no token here."""
        verdict = await self.verify(token)
        return _NO_JWT if verdict is None else verdict.state if isinstance(verdict, Verified) else verdict

    async def close(self) -> None:
        """End a fetch of keys that is still running."""
        await self._keys.close()
