"""A server that speaks KServe v2 over gRPC and is as bad as a test wants; runs in .venv-serve.

    python played_grpc.py '{"plan": ["UNAVAILABLE", 3.0, null], "token": …, "certificate": […]}'

It prints its port, and answers as `played.py` does.
"""

import concurrent.futures
import json
import sys
import time

import grpc
import numpy as np
from tritonclient.grpc import service_pb2, service_pb2_grpc

SETTINGS = json.loads(sys.argv[1])
PLAN = SETTINGS.get("plan", [])
CLASSES, SIDE = 4, 2


class Server(service_pb2_grpc.GRPCInferenceServiceServicer):
    def ServerMetadata(self, request, context):  # noqa: N802 - the protocol's
        may(context)
        return service_pb2.ServerMetadataResponse(name="played", version="7")

    def ModelMetadata(self, request, context):  # noqa: N802
        about = service_pb2.ModelMetadataResponse(name=request.name, versions=["1"])
        about.inputs.add(name="x", datatype="FP32", shape=[-1, 3, SIDE, SIDE])
        about.outputs.add(name="logits", datatype="FP32", shape=[-1, CLASSES])
        return about

    def ModelReady(self, request, context):  # noqa: N802
        return service_pb2.ModelReadyResponse(ready=True)

    def ModelInfer(self, request, context):  # noqa: N802
        step = PLAN.pop(0) if PLAN else None
        if isinstance(step, str):
            said = str(dict(context.invocation_metadata()).get("authorization"))
            context.abort(getattr(grpc.StatusCode, step), f"planned {said}")
        time.sleep(step or 0)
        shape = list(request.inputs[0].shape)
        photos = np.frombuffer(request.raw_input_contents[0], np.float32).reshape(shape)
        logits = photos.reshape(len(photos), -1)[:, :1] + np.arange(CLASSES, dtype=np.float32)
        answer = service_pb2.ModelInferResponse(
            model_name=request.model_name, model_version="1", id=request.id
        )
        answer.outputs.add(name="logits", datatype="FP32", shape=logits.shape)
        answer.raw_output_contents.append(logits.tobytes())
        return answer


def may(context):
    wanted = SETTINGS.get("token")
    if wanted and dict(context.invocation_metadata()).get("authorization") != f"Bearer {wanted}":
        context.abort(grpc.StatusCode.UNAUTHENTICATED, "who are you?")


server = grpc.server(concurrent.futures.ThreadPoolExecutor(4))
service_pb2_grpc.add_GRPCInferenceServiceServicer_to_server(Server(), server)
place = f"127.0.0.1:{SETTINGS.get('port', 0)}"
if certificate := SETTINGS.get("certificate"):
    chain, key = (open(path, "rb").read() for path in certificate)  # noqa: PTH123, SIM115
    port = server.add_secure_port(place, grpc.ssl_server_credentials([(key, chain)]))
else:
    port = server.add_insecure_port(place)
server.start()
print(port, flush=True)
server.wait_for_termination()
