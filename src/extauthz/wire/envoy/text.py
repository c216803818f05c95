"""A CheckResponse for a reader."""

from google.protobuf.text_format import MessageToString

from extauthz._gen.extauthz_envoy_pb2 import CheckResponse


def as_text(message: bytes) -> str:
    """The message in protobuf's text format, one field a line."""
    return MessageToString(CheckResponse.FromString(message))
