"""How much room an entry of the cache takes, so that a bound on bytes can be kept."""

import sys
from typing import Final

from extauthz.core.introspection import Active, TokenState

ENTRY_BYTES: Final = 640
"""What an entry takes besides its state: its key, its times, and its places in the tables of the store."""

ACTIVE_BYTES: Final = 400
"""An `Active` and its set of scopes, with nothing in either."""

BYTES_PER_CHARACTER: Final = 8
"""What a character takes of the text of a list or a mapping: most of that is for the objects which it is made of."""


def weigh(state: TokenState) -> int:
    """Bytes of memory that an entry with this state takes: an estimate, rather too large than too small.

    As if no other entry had the same scope, which then takes room only once.
    """
    if not isinstance(state, Active):
        return ENTRY_BYTES
    texts = sum(map(sys.getsizeof, (state.sub, state.client_id, state.username, state.iss, state.jti, state.scope)))
    parts = len(state.scope) + len(repr(state.aud)) + len(repr(state.claims))
    return ENTRY_BYTES + ACTIVE_BYTES + texts + parts * BYTES_PER_CHARACTER
