"""The sections that say how much an authorization server is asked, and when it is not asked at all. Times in seconds."""

from typing import Literal

from pydantic import Field, ValidationInfo, field_validator

from extauthz.config.fields import (
    BatchDelay,
    BatchSize,
    Connections,
    Entries,
    Flag,
    Pause,
    PerMinute,
    Results,
    TokenLength,
    TokenPrefix,
    Url,
)
from extauthz.config.section import Section
from extauthz.config.values import Misfit


class Circuit(Section):
    """When a failing server is left alone: `failures` of the last `window` questions, first for `pause`."""

    failures: Results = 10
    window: Results = Field(default=20, validate_default=True)
    pause: Pause = 1.0
    longest_pause: Pause = Field(default="30s", validate_default=True)

    @field_validator("window")
    @classmethod
    def _holds_the_failures(cls, window: int, info: ValidationInfo) -> int:
        if window < info.data.get("failures", 0):
            failures = info.data["failures"]
            raise Misfit(f"a window of {window} never holds {failures} failures: write window: {failures}, or more")
        return window

    @field_validator("longest_pause")
    @classmethod
    def _no_shorter_than_the_first(cls, longest_pause: float, info: ValidationInfo) -> float:
        if longest_pause < info.data.get("pause", 0.0):
            raise Misfit(f"the longest pause, {longest_pause:g}s, is shorter than the first: write a longest_pause")
        return longest_pause


class Batch(Section):
    """Questions asked together; a `delay` of 0 asks each at once."""

    delay: BatchDelay = 0.0
    size: BatchSize = 50
    concurrency: Connections = 4
    endpoint: Url | None = None

    @field_validator("endpoint")
    @classmethod
    def _with_a_delay(cls, endpoint: str | None, info: ValidationInfo) -> str | None:
        if endpoint is not None and info.data.get("delay") == 0:
            raise Misfit("write delay: 5ms too, the time that a question waits for others")
        return endpoint


class Tokens(Section):
    """What the server's tokens look like; lengths are in characters, the prefix included."""

    prefix: TokenPrefix | None = None
    opaque: Flag = False
    min_length: TokenLength = 1
    max_length: TokenLength | None = None
    alphabet: Literal["any", "hex", "alphanumeric", "base64url", "jwt"] = "any"

    @field_validator("max_length")
    @classmethod
    def _leaves_room(cls, max_length: int | None, info: ValidationInfo) -> int | None:
        least = max(info.data.get("min_length", 1), len(info.data.get("prefix") or ""))
        if max_length is not None and max_length < least:
            raise Misfit(f"no token fits: prefix and min_length need {least} characters at least")
        return max_length


class InactiveLimit(Section):
    """How many inactive tokens an address may send before its unknown ones are answered 429."""

    per_minute: PerMinute = 60
    burst: Results = 20
    max_addresses: Entries = 10_000
