"""What the core knows of regular expressions. Whoever reads the policy chooses the library."""

from typing import Protocol


class Pattern(Protocol):
    """A regular expression. No text may take it longer than its length warrants."""

    @property
    def text(self) -> str:
        """As it was written."""

    def fits(self, text: str) -> bool:
        """Whether it matches the whole text. Must not raise."""
