"""In .venv-serve: a model's configuration held against the message that Triton reads."""

from typing import Any

from common.errors import StepError


def model_config(text: str) -> dict[str, Any]:
    """A config.pbtxt as Triton understands it; StepError where it has what Triton does not know."""
    from google.protobuf import json_format, text_format
    from tritonclient.grpc import model_config_pb2

    try:
        message = text_format.Parse(text, model_config_pb2.ModelConfig())
    except text_format.ParseError as error:
        raise StepError(f"config.pbtxt is not as Triton reads it: {error}") from None
    return json_format.MessageToDict(message, preserving_proto_field_name=True)
