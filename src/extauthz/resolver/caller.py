"""Who asks an authorization server: where, with what credentials, and once more if those were just changed."""

from collections.abc import Callable
from functools import partial
from http import HTTPStatus

from extauthz.core.introspection import MAX_ANSWER_BYTES, Answer, Unavailable
from extauthz.resolver.client_auth import ClientAuthenticator
from extauthz.resolver.metadata import Metadata
from extauthz.resolver.transport import Transport, again_if_hung_up

Known = Callable[[], Metadata | Unavailable]
"""What we know of a server now, or why we do not know it yet."""


def configured(metadata: Metadata) -> Known:
    """Knows it from the configuration."""
    return lambda: metadata


def introspection(server: Metadata) -> str:
    """The endpoint that most questions go to."""
    return server.introspection_endpoint


class Caller:
    """Posts forms to one endpoint of an authorization server as the client that we are there.

    Args:
        transport: connections to the server; closed with the caller.
        authenticator: likewise.
        known: what is known of the server.
        endpoint: the one to post to.
        max_answer_bytes: a longer answer is cut off.
    """

    def __init__(
        self,
        transport: Transport,
        authenticator: ClientAuthenticator,
        known: Known,
        *,
        endpoint: Callable[[Metadata], str] = introspection,
        max_answer_bytes: int = MAX_ANSWER_BYTES,
    ) -> None:
        self._transport = transport
        self._authenticator = authenticator
        self._known = known
        self._endpoint = endpoint
        self._max_answer_bytes = max_answer_bytes

    async def post(self, form: str) -> Answer | Unavailable:
        """The answer to a form, sent with our credentials. Raises what the network raises; the deadline is the caller's.

        When the server does not know us any more (401) and our secret has changed meanwhile, it is asked again with the
        new one: a rotation fails nobody.
        """
        server = self._known()
        if isinstance(server, Unavailable):
            return server
        post = partial(again_if_hung_up, partial(self._post_once, server, form))
        answer = await post()
        if isinstance(answer, Answer) and answer.status == HTTPStatus.UNAUTHORIZED and self._authenticator.renew():
            answer = await post()
        return answer

    async def _post_once(self, server: Metadata, form: str) -> Answer | Unavailable:
        credentials = await self._authenticator.credentials(server)
        if isinstance(credentials, Unavailable):
            return credentials
        form += credentials.form
        return await self._transport.post(
            self._endpoint(server), form, credentials.authorization, max_answer_bytes=self._max_answer_bytes
        )

    async def close(self) -> None:
        """Give connections back."""
        await self._authenticator.close()
        await self._transport.close()
