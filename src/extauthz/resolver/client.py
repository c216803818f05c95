"""The question to an authorization server (RFC 7662 §2.1): one POST, no redirects. How long it may take, the ladder says."""

from extauthz.core.introspection import Answer, TokenState, Unavailable, read_answer
from extauthz.core.token import Token
from extauthz.resolver.caller import Caller
from extauthz.resolver.client_auth import form_encode
from extauthz.resolver.settings import ServerSettings
from extauthz.resolver.trouble import unreachable


class IntrospectionClient:
    """Asks one authorization server. Owns the caller, which `close` closes."""

    def __init__(self, settings: ServerSettings, caller: Caller) -> None:
        self._settings = settings
        self._caller = caller
        self._form_tail = f"&token_type_hint={settings.token_type_hint}" if settings.token_type_hint else ""
        self._answers_others = False

    async def ask(self, token: Token) -> TokenState:
        """What the server says about the token. Never raises: trouble is `Unavailable`."""
        answer = await self.post(f"token={form_encode(token.reveal())}")
        if isinstance(answer, Unavailable):
            return answer
        settings = self._settings
        state = read_answer(
            answer,
            issuer=settings.issuer,
            answers_others=self._answers_others,
            leniency=settings.leniency,
            token_type_required=settings.token_type_required,
        )
        self._answers_others = self._answers_others or not isinstance(state, Unavailable)
        return state

    async def post(self, tokens: str) -> Answer | Unavailable:
        """The answer to a form that begins like this and ends as all our questions do. Never raises."""
        try:
            return await self._caller.post(tokens + self._form_tail)
        except Exception as error:  # noqa: BLE001 - whatever the network does, it is no verdict about the token
            return unreachable(error)

    async def close(self) -> None:
        """Close all connections."""
        await self._caller.close()
