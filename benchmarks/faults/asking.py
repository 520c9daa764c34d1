"""In .venv-serve: gRPC messages to a server of KServe v2, as bytes."""

import numpy as np

_SERVICE = "/inference.GRPCInferenceService"
_LIMIT = 20.0  # seconds for an answer

_channels: dict = {}


def messages(model: str, photo: bytes) -> list[tuple[str, bytes]]:
    """Good messages, each with its method: inference of a tensor and of a photo, and questions."""
    from tritonclient import grpc
    from tritonclient.grpc import service_pb2 as service

    def infer(name: str, entry: str, value: np.ndarray, kind: str) -> bytes:
        given = grpc.InferInput(entry, list(value.shape), kind)
        given.set_data_from_numpy(value)
        request = service.ModelInferRequest(model_name=name, id="1")
        request.inputs.extend([given._get_tensor()])
        request.raw_input_contents.append(given._get_content())
        request.outputs.extend([grpc.InferRequestedOutput("logits")._get_tensor()])
        return request.SerializeToString()

    tensor = np.random.default_rng(0).standard_normal((1, 3, 224, 224), np.float32)
    file = np.array([[photo]], object)
    typed = service.ModelInferRequest(model_name=f"{model}_photo")
    typed.inputs.add(name="photo", datatype="BYTES", shape=[1, 1]).contents.bytes_contents.append(
        photo
    )
    return [
        ("ModelInfer", infer(model, "x", tensor, "FP32")),
        ("ModelInfer", infer(f"{model}_photo", "photo", file, "BYTES")),
        ("ModelInfer", typed.SerializeToString()),
        ("ModelMetadata", service.ModelMetadataRequest(name=model).SerializeToString()),
        ("ModelConfig", service.ModelConfigRequest(name=model, version="1").SerializeToString()),
        ("ModelStatistics", service.ModelStatisticsRequest(name=model).SerializeToString()),
    ]


def ask(address: str, method: str, message: bytes) -> tuple[str, str, np.ndarray | None]:
    """The status that a message gets, its words, and the logits where it is answered by some."""
    import grpc
    from tritonclient.grpc import service_pb2 as service

    if address not in _channels:
        largest = [("grpc.max_send_message_length", -1), ("grpc.max_receive_message_length", -1)]
        _channels[address] = grpc.insecure_channel(address, largest)
    try:
        answer = _channels[address].unary_unary(f"{_SERVICE}/{method}")(message, timeout=_LIMIT)
    except grpc.RpcError as error:
        return error.code().name, error.details() or "", None
    if method != "ModelInfer":
        return "OK", "", None
    said = service.ModelInferResponse.FromString(answer)
    output = next((one for one in said.outputs if one.name == "logits"), None)
    if output is None or output.datatype != "FP32":
        return "OK", "", None
    logits = np.frombuffer(said.raw_output_contents[0], np.float32)
    return "OK", "", logits.reshape(list(output.shape))
