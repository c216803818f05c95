"""The bearer token as a value that cannot print."""

from typing import final


@final
class Token:
    """A bearer token. `repr`, `str` and formatting show nothing; only `reveal()` gives the text."""

    __slots__ = ("_text",)

    def __init__(self, text: str) -> None:
        self._text = text

    def reveal(self) -> str:
        """The token itself: for the request to the authorization server and for the keyed hash, nothing else."""
        return self._text

    def __repr__(self) -> str:
        return "Token()"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Token) and self._text == other._text

    def __hash__(self) -> int:
        return hash(self._text)

    def __reduce__(self) -> str:
        raise TypeError("a token is not to be pickled or copied")
