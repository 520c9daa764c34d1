"""In .venv-serve: a client, and what judges a configuration."""

import numpy as np


def infer(address: str, model: str, batch: np.ndarray) -> np.ndarray:
    """The logits of a batch, asked by gRPC."""
    from tritonclient import grpc

    entry = grpc.InferInput("x", list(batch.shape), "FP32")
    entry.set_data_from_numpy(np.ascontiguousarray(batch))
    with grpc.InferenceServerClient(address) as client:
        return client.infer(model, [entry]).as_numpy("logits")


def parsed(text: str) -> dict:
    """A config.pbtxt as Triton's own message understands it, as JSON; an error where it does
    not."""
    from google.protobuf import json_format, text_format
    from tritonclient.grpc import model_config_pb2

    message = text_format.Parse(text, model_config_pb2.ModelConfig())
    return json_format.MessageToDict(message, preserving_proto_field_name=True)
