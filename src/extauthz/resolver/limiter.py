"""How many bad tokens an address may send: each costs the authorization server a question, and guessing costs nothing.

A bucket for each address: a question takes one out, an answer other than "inactive" puts it back, and time refills it.
So an address never has more than `burst` unknown tokens in question at once, and in the long run no more than
`per_minute` of its inactive ones are asked about. Tokens that are known to be good do not come here at all.
"""

import re
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from ipaddress import IPv6Address, ip_address
from typing import Final

Clock = Callable[[], float]

_IPV6_NETWORK_BITS: Final = 64
"""What one subscriber gets at least: all its addresses are one."""

_MAX_ADDRESS_LENGTH: Final = 64
_ROUNDING_SECONDS: Final = 1e-6
_WITH_PORT: Final = re.compile(r"\[([0-9A-Fa-f:.]+)\](?::[0-9]+)?|([0-9.]+):[0-9]+")


@dataclass(frozen=True, slots=True, kw_only=True)
class LimitSettings:
    """How much is allowed.

    Attributes:
        per_minute: inactive tokens that an address may ask about in the long run.
        burst: as many at once.
        max_addresses: buckets kept; the one that was not used for longest is forgotten first.
    """

    per_minute: int
    burst: int
    max_addresses: int


class InactiveLimiter:
    """The buckets. Without settings nothing is limited, nor is a request whose address nobody knows."""

    def __init__(self, settings: LimitSettings | None, monotonic: Clock) -> None:
        self._settings = settings
        self._monotonic = monotonic
        self._full_at: OrderedDict[str, float] = OrderedDict()
        """When each bucket will be full again; who asked last stands last."""

    def take(self, address: str) -> float:
        """Pay for one question: 0, or the seconds to wait until it can be paid for."""
        settings = self._settings
        if settings is None or not address:
            return 0.0
        refill = 60.0 / settings.per_minute
        key, now = network(address), self._monotonic()
        debt = max(0.0, self._full_at.get(key, now) - now)
        self._full_at[key] = now + debt
        self._full_at.move_to_end(key)
        missing = debt - (settings.burst - 1) * refill
        if missing > _ROUNDING_SECONDS:
            return missing
        self._full_at[key] += refill
        if len(self._full_at) > settings.max_addresses:
            self._full_at.popitem(last=False)
        return 0.0

    def give_back(self, address: str) -> None:
        """The token was not a bad one after all."""
        key = network(address) if self._full_at else ""
        if self._settings is None or key not in self._full_at:
            return
        self._full_at[key] -= 60.0 / self._settings.per_minute
        if self._full_at[key] <= self._monotonic():
            del self._full_at[key]

    def __len__(self) -> int:
        return len(self._full_at)


def network(address: str) -> str:
    """Whose bucket it is: an IPv4 address, the /64 of an IPv6 address, or any other text as it is.

    Some gateways write a port behind the address; it changes with every connection and says nothing.
    """
    match = _WITH_PORT.fullmatch(address)
    text = (match[1] or match[2]) if match else address.partition("%")[0]
    try:
        parsed = ip_address(text)
    except ValueError:
        return address[:_MAX_ADDRESS_LENGTH]
    if not isinstance(parsed, IPv6Address):
        return str(parsed)
    if parsed.ipv4_mapped is not None:
        return str(parsed.ipv4_mapped)
    return f"{int(parsed) >> (128 - _IPV6_NETWORK_BITS):x}/{_IPV6_NETWORK_BITS}"
