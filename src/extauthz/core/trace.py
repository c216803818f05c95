"""`traceparent` (W3C Trace Context §3.2): a trace goes on through us, or begins here where what came makes no sense."""

import re
from collections.abc import Callable

TRACEPARENT = "traceparent"

_KNOWN = re.compile(r"(?!ff)([0-9a-f]{2})-(?!0{32})([0-9a-f]{32})-(?!0{16})[0-9a-f]{16}-([0-9a-f]{2})(-.*)?", re.DOTALL)
_NOT_SAMPLED = "00"


def child_of(traceparent: str, new_id: Callable[[int], str]) -> str:
    """What we send on as the child of what we were sent; `new_id` makes so many random bytes in hex.

    A version that we do not know is read as far as we know it (§3.2.4). Of the flags, only `sampled` is passed on.
    """
    found = _KNOWN.fullmatch(traceparent)
    if found is None or (found[1] == "00" and found[4]):
        return f"00-{new_id(16)}-{new_id(8)}-{_NOT_SAMPLED}"
    return f"00-{found[2]}-{new_id(8)}-{int(found[3], 16) & 1:02x}"
