"""ONNX Runtime as it comes: a session without options, for `deploy/benchmark.py`."""

import onnxruntime


class Session:
    def __init__(self, folder, precision, threads):
        self._session = onnxruntime.InferenceSession(f"{folder}/model.onnx")

    def run(self, batch):
        return self._session.run(None, {"x": batch})[0]

    def environment(self):
        return {"versions": {"onnxruntime": onnxruntime.__version__}}
