"""Ask what a token means, in a service of your own: `python examples/introspect.py URL CLIENT_ID < token`.

The client's secret is in the environment, as CLIENT_SECRET.
"""

import asyncio
import os
import sys

from extauthz import Active, Inactive, TokenClient, Unavailable


async def main(introspection_endpoint: str, client_id: str, token: str) -> int:
    """Print what the server says; the exit status is 0 for an active token, 1 for an inactive one, 2 for trouble."""
    async with TokenClient(
        introspection_endpoint=introspection_endpoint,
        client_id=client_id,
        client_secret=os.environ["CLIENT_SECRET"],
        cache={"ttl": "30s"},
        timeout="5s",  # by default half a second, for services whose clients wait
    ) as tokens:
        match await tokens.introspect(token):
            case Active(sub=sub, scope=scope):
                print(f"{sub} may {scope}")
                return 0
            case Inactive(reason=reason):
                print(f"refused: {reason}")
                return 1
            case Unavailable(reason=reason, retry_after=seconds):
                print(f"nobody knows: {reason}, again in {seconds or 1} s")
                return 2


if __name__ == "__main__":
    sys.exit(asyncio.run(main(sys.argv[1], sys.argv[2], sys.stdin.readline().strip())))
