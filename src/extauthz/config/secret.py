"""A client secret as a value that cannot print."""

from typing import final


@final
class Secret:
    """A secret. `repr`, `str` and formatting show nothing; only `reveal()` gives the text."""

    __slots__ = ("_text",)

    def __init__(self, text: str) -> None:
        self._text = text

    def reveal(self) -> str:
        """The secret itself: for the request to the authorization server, nothing else."""
        return self._text

    def __repr__(self) -> str:
        return "Secret()"

    def __reduce__(self) -> str:
        raise TypeError("a secret is not to be pickled or copied")
