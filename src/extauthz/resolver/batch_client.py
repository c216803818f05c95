"""One question about many tokens, for servers that have an endpoint for it: `tokens=<token> <token> …` as a form."""

from collections.abc import Sequence

from extauthz.core.batch_answer import read_batch_answer
from extauthz.core.introspection import TokenState, Unavailable
from extauthz.core.token import Token
from extauthz.observe.events import Happened, Happening, Observer
from extauthz.resolver.client import IntrospectionClient
from extauthz.resolver.client_auth import form_encode
from extauthz.resolver.settings import ServerSettings


class BatchClient:
    """Asks the batch endpoint of one server. How the request travels and who we are is as for single tokens.

    Args:
        client: posts to the batch endpoint.
        settings: of the server.
        observer: is told how many requests each batch has saved.
    """

    def __init__(self, client: IntrospectionClient, settings: ServerSettings, observer: Observer) -> None:
        self._client = client
        self._settings = settings
        self._observer = observer

    async def ask(self, tokens: Sequence[Token], /) -> Sequence[TokenState] | Unavailable:
        """The state of each token, in order, or why none is known. Never raises.

        A token has no space in it (RFC 6750 §2.1), so spaces can stand between tokens.
        """
        answer = await self._client.post("tokens=" + form_encode(" ".join(token.reveal() for token in tokens)))
        if isinstance(answer, Unavailable):
            return answer
        states = read_batch_answer(
            answer,
            count=len(tokens),
            issuer=self._settings.issuer,
            leniency=self._settings.leniency,
            token_type_required=self._settings.token_type_required,
        )
        if not isinstance(states, Unavailable) and len(tokens) > 1:
            self._observer.happened(
                Happened(what=Happening.BATCHED, subject=self._settings.name, count=len(tokens) - 1)
            )
        return states

    async def close(self) -> None:
        """Close all connections."""
        await self._client.close()
