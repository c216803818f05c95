"""Regular expressions in the syntax of RE2, which matches in time proportional to the text, whatever the pattern.

The library is read in with the first pattern: it takes 2 MiB, and most policies have none.
"""

from dataclasses import dataclass, field
from typing import Any

from extauthz.config.values import Misfit, parse_text

MAX_PATTERN_LENGTH = 1000
"""Characters."""

_LONGEST_SAMPLE = 255
"""Characters of a text that a pattern makes up."""


@dataclass(frozen=True, slots=True)
class Re2Pattern:
    """A compiled pattern."""

    text: str
    compiled: Any = field(repr=False, compare=False)  # the library has no types

    def fits(self, text: str) -> bool:
        """Whether it matches the whole text; never one that is no Unicode, as JSON can make it."""
        try:
            return self.compiled.fullmatch(text) is not None
        except UnicodeEncodeError:
            return False

    def lowest(self) -> str:
        """A text that comes first among those that it may match; it may still not match it."""
        import re2  # noqa: PLC0415 - as the head of the module says

        try:
            lowest, _ = self.compiled.possiblematchrange(_LONGEST_SAMPLE)
        except re2.error:
            return ""
        return str(lowest.decode(errors="ignore"))


def parse_pattern(value: object) -> Re2Pattern:
    """A pattern as an operator writes it.

    Raises:
        Misfit: when it is none, or takes too much memory.
    """
    text = parse_text(value)
    if len(text) > MAX_PATTERN_LENGTH:
        raise Misfit(f"a pattern has at most {MAX_PATTERN_LENGTH} characters")
    import re2  # noqa: PLC0415 - as the head of the module says

    options = re2.Options()
    options.log_errors = False
    try:
        return Re2Pattern(text, re2.compile(text, options))
    except re2.error as error:
        why = error.args[0].decode(errors="replace") if error.args and isinstance(error.args[0], bytes) else str(error)
        raise Misfit(f"this is no pattern of RE2: {why}") from None
