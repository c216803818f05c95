"""What tokens of a server look like. One that looks different is none of them, and nobody needs to be asked."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from extauthz.core.token import Token

_BASE64URL: Final = "[0-9A-Za-z_-]"

ALPHABETS: Final[Mapping[str, str]] = {
    "any": ".*",
    "hex": "[0-9A-Fa-f]*",
    "alphanumeric": "[0-9A-Za-z]*",
    "base64url": f"{_BASE64URL}*",
    "jwt": rf"{_BASE64URL}+(?:(?:\.{_BASE64URL}*){{2}}){{1,2}}",
}
"""What may stand behind the prefix, as regular expressions; `jwt` has three parts when it is signed, five when encrypted."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenShape:
    """The outside of a token.

    Attributes:
        prefix: what it begins with.
        min_length: characters at least, the prefix included.
        max_length: characters at most; None leaves it open.
        alphabet: one of `ALPHABETS`, for what follows the prefix.
    """

    prefix: str = ""
    min_length: int = 1
    max_length: int | None = None
    alphabet: str = "any"
    _pattern: re.Pattern[str] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        pattern = re.compile(re.escape(self.prefix) + ALPHABETS[self.alphabet], re.DOTALL)
        object.__setattr__(self, "_pattern", pattern)

    def fits(self, token: Token) -> bool:
        """Whether it can be one of the server's at all."""
        text = token.reveal()
        long_enough = len(text) >= self.min_length
        short_enough = self.max_length is None or len(text) <= self.max_length
        return long_enough and short_enough and self._pattern.fullmatch(text) is not None


ANY_SHAPE: Final = TokenShape()
