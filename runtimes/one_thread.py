"""ONNX Runtime in this process, a thread a session: who has many sessions runs them by turns."""

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import onnxruntime


def one_thread_session(
    model: Path | str | bytes,
    entries: Mapping[str, str] = MappingProxyType({}),
    *,
    optimize: bool = True,
) -> "onnxruntime.InferenceSession":
    """A session on the CPU that says nothing but errors.

    `model` is a file, or its content; `entries` are ONNX Runtime's own settings of a session.
    Without `optimize` it runs the nodes as they stand.
    """
    import onnxruntime  # here, since what imports this may need none

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 3
    if not optimize:
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    for name, value in entries.items():
        options.add_session_config_entry(name, value)
    return onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
