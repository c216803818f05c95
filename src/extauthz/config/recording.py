"""The sections that say what is recorded of decisions and of the program itself, and where it goes."""

import re
from importlib.util import find_spec
from typing import Annotated, Final, Literal

from pydantic import Field, PlainValidator, ValidationInfo, WithJsonSchema, field_validator

from extauthz.config.fields import AuditPath, Results, Text, Url
from extauthz.config.section import Section
from extauthz.config.values import Misfit, parse_bytes

MIN_FILE_BYTES: Final = 64 * 1024
"""Of a file that is rotated: one write."""

_DECIMAL: Final = re.compile(r"[01]\.[0-9]{1,9}")


def _parse_file_size(value: object) -> int:
    size = parse_bytes(value)
    if size < MIN_FILE_BYTES:
        raise Misfit("write 64KiB or more: so much may be written at once")
    return size


def _parse_share(value: object) -> float:
    if isinstance(value, str) and _DECIMAL.fullmatch(value):  # in our YAML only whole numbers are no text
        value = float(value)
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 1:
        raise Misfit("write a number from 0 to 1, such as 0.1 for one of ten")
    return float(value)


def _can_send_spans() -> bool:
    try:
        return find_spec("opentelemetry.exporter.otlp.proto.http") is not None
    except ModuleNotFoundError:  # of a package above it
        return False


FileBytes = Annotated[int, PlainValidator(_parse_file_size), WithJsonSchema({"type": "string"})]
Share = Annotated[float, PlainValidator(_parse_share), WithJsonSchema({"type": "number", "minimum": 0, "maximum": 1})]


class Rotate(Section):
    """When a file of the record is full, in bytes, and how many full ones are kept."""

    size: FileBytes = Field(examples=["100MiB"])
    keep: Results = 10


class Audit(Section):
    """Where the audit lines go, which of them, and what happens when they cannot be written."""

    path: AuditPath = "stdout"
    sample_allows: Share = 1.0
    rotate: Rotate | None = None
    on_loss: Literal["count", "deny"] = "count"

    @field_validator("rotate")
    @classmethod
    def _of_a_file(cls, rotate: Rotate | None, info: ValidationInfo) -> Rotate | None:
        if rotate is not None and "/" not in info.data.get("path", "/"):
            raise Misfit("only a file can be rotated: write path: with a / in it, or take this out")
        return rotate

    @field_validator("on_loss")
    @classmethod
    def _of_a_record(cls, on_loss: str, info: ValidationInfo) -> str:
        if on_loss == "deny" and info.data.get("path") == "off":
            raise Misfit("with path: off nothing is recorded, and nothing can be lost: take this out")
        return on_loss


class Log(Section):
    """How much the program says about itself, and in which form."""

    level: Literal["debug", "info", "warning", "error"] = "info"
    format: Literal["json", "console"] = "json"


class Tracing(Section):
    """Where spans go, by OTLP over HTTP; `sample` is the share of the traces that begin here, for lack of a gateway's."""

    endpoint: Url = Field(examples=["http://127.0.0.1:4318/v1/traces"])
    sample: Share = 0.1
    service_name: Text = "extauthz"

    @field_validator("endpoint")
    @classmethod
    def _can_be_sent_to(cls, endpoint: str) -> str:
        if not _can_send_spans():
            raise Misfit("traces need more packages: pip install 'extauthz[otel]'")
        return endpoint
