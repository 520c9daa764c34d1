"""What the Java tests are held against: pixels, logits and durations, made by the toolkit."""

import dataclasses
import hashlib
import json
from pathlib import Path

import numpy as np

from data.preprocess import Preprocess
from deploy.targets import app_targets

TWINS = Preprocess(interpolation="bicubic", library="pillow")
SETTINGS = {
    "most": Preprocess(),
    "darknet": Preprocess(resize_short=292, crop=256),
    "twins": TWINS,
    "pillow": dataclasses.replace(TWINS, interpolation="bilinear"),
    "odd": Preprocess(resize_short=97, crop=97, mean=(0.5, 0.4, 0.3), std=(0.1, 0.2, 0.3)),
}
# Larger and smaller than the crop, portrait and landscape, odd, one pixel wide, as large as the
# resized photo, twice as large (for which OpenCV has another function), and so tall that Pillow
# goes down first, or just not.
SIZES = (
    *((500, 375), (375, 501), (224, 224), (256, 256), (257, 256), (31, 97), (1836, 333)),
    *((1, 300), (300, 1), (1, 1), (2, 3), (512, 512), (512, 640), (584, 584), (1600, 1200)),
    *((513, 512), (194, 388), (97, 97), (320, 685), (300, 603), (294, 591)),
)
DRIFT_CLASSES = 6
DRIFT_PHOTOS = 40


def write_preprocess(folder: Path, photos: dict[str, np.ndarray]) -> None:
    """Photos (uint8 [height, width, 3] by name), and what each setting makes of each."""
    folder.mkdir()
    cases = []
    for setting, preprocess in SETTINGS.items():
        (folder / f"{setting}.json").write_text(json.dumps(preprocess.to_json()))
    for name, rgb in photos.items():
        (folder / f"{name}.rgb").write_bytes(rgb.tobytes())
        height, width = rgb.shape[:2]
        for setting, preprocess in SETTINGS.items():
            crop = f"{name}-{setting}.crop"
            (folder / crop).write_bytes(preprocess.crop_photo(rgb).tobytes())
            cases.append(f"{name}.rgb {width} {height} {setting}.json {crop}")
    (folder / "cases.txt").write_text("\n".join(cases) + "\n")
    _write_ramp(folder)


def made_up_photos() -> dict[str, np.ndarray]:
    """Noise of every size; the hardest edges, where a cubic overshoots; a grey and a flat one."""
    generator = np.random.default_rng(7)
    photos = {
        f"noise{width}x{height}": generator.integers(0, 256, (height, width, 3), np.uint8)
        for width, height in SIZES
    }
    edges = np.where(np.indices((300, 420)).sum(axis=0) // 3 % 2, 255, 0).astype(np.uint8)
    photos["edges"] = np.stack([edges, 255 - edges, edges.T.reshape(300, 420)], axis=-1)
    photos["grey"] = np.repeat(generator.integers(0, 256, (400, 300, 1), np.uint8), 3, axis=2)
    photos["white"] = np.full((333, 444, 3), 255, np.uint8)
    return photos


def _write_ramp(folder: Path) -> None:
    """Every value of every channel, and its normalized form."""
    preprocess = Preprocess(resize_short=16, crop=16)
    values = np.arange(256, dtype=np.uint8).reshape(16, 16)
    crop = np.stack([values, values[::-1], values.T], axis=-1)
    (folder / "ramp.json").write_text(json.dumps(preprocess.to_json()))
    (folder / "ramp.crop").write_bytes(crop.tobytes())
    (folder / "ramp.chw").write_bytes(preprocess.normalize(crop[None]).astype("<f4").tobytes())


def write_photos(folder: Path, photos: dict[str, np.ndarray]) -> None:
    """Decoded photos, and a list of them with their sizes."""
    folder.mkdir()
    lines = []
    for name, rgb in photos.items():
        (folder / f"{name}.rgb").write_bytes(rgb.tobytes())
        lines.append(f"{name}.rgb {rgb.shape[1]} {rgb.shape[0]}")
    (folder / "list.txt").write_text("\n".join(lines) + "\n")


def write_latency(path: Path) -> list[np.ndarray]:
    """Durations in ns, a sample a line; returned as well."""
    generator = np.random.default_rng(11)
    samples = [
        generator.integers(1, 10**9, count) for count in (1, 2, 3, 10, 11, 30, 99, 100, 101, 200)
    ]
    path.write_text("\n".join(" ".join(map(str, sample)) for sample in samples) + "\n")
    return samples


# ---- drift ----


@dataclasses.dataclass(frozen=True)
class DriftCase:
    """The reference's logits and a phone's of some photos, and the photos' classes."""

    reference: np.ndarray
    measured: np.ndarray
    labels: np.ndarray
    gate: str = "numeric"


def drift_cases() -> dict[str, DriftCase]:
    """Everything that the gates tell apart."""
    generator = np.random.default_rng(5)
    shape = (DRIFT_PHOTOS, DRIFT_CLASSES)
    labels = generator.integers(0, DRIFT_CLASSES, DRIFT_PHOTOS)
    logits = (8 * generator.standard_normal(shape)).astype(np.float32)
    noise = generator.standard_normal(shape).astype(np.float32)

    tied = logits.copy()
    tied[:, 3] = tied[:, 1] = tied.max(axis=1) + 1
    flipped = tied.copy()
    flipped[::2, 3] = np.nextafter(flipped[::2, 3], np.float32(np.inf))

    led = logits.copy()  # by more than each logit moves, and less than both together do
    led[:, 2], led[:, 5] = 40, 40 - 3 / 2048
    swapped = led + np.float32(1 / 1024) * (np.eye(DRIFT_CLASSES)[5] - np.eye(DRIFT_CLASSES)[2])

    broken = logits.copy()
    broken[3, 2], broken[7], broken[9, 0] = np.nan, np.inf, -np.inf
    return {
        "equal": DriftCase(logits, logits, labels),
        "close": DriftCase(logits, logits + np.float32(1e-4) * noise, labels),
        "far": DriftCase(logits, logits + noise, labels),
        "ties": DriftCase(tied, flipped, labels),
        "beyond": DriftCase(led, swapped.astype(np.float32), labels),
        "broken": DriftCase(logits, broken, labels),
        "zeros": DriftCase(np.zeros(shape, np.float32), noise, labels),
        "int8": DriftCase(logits, logits + noise, labels, gate="statistical"),
    }


def write_drift(folder: Path, cases: dict[str, DriftCase]) -> None:
    """A tiny package for each case, without a model that anything could run."""
    folder.mkdir()
    (folder / "cases.txt").write_text("\n".join(cases) + "\n")
    for name, case in cases.items():
        _write_package(folder / name, case)
        (folder / f"{name}.measured").write_bytes(case.measured.astype("<f4").tobytes())


def write_tiny(folder: Path) -> None:
    """A package of a model that runs in no time, but has a large input and a large output."""
    import onnx
    from onnx import TensorProto, helper

    side, classes = 64, 4000
    shape = {"x": ["N", 3, side, side], "logits": ["N", classes]}
    given, found = (
        helper.make_tensor_value_info(name, TensorProto.FLOAT, sizes)
        for name, sizes in shape.items()
    )
    generator = np.random.default_rng(3)
    weights = [
        onnx.numpy_helper.from_array(generator.standard_normal(sizes).astype(np.float32), name)
        for name, sizes in {"kernel": (8, 3, 3, 3), "matrix": (8, classes)}.items()
    ]
    nodes = [
        helper.make_node("Conv", ["x", "kernel"], ["y"], kernel_shape=[3, 3], strides=[4, 4]),
        helper.make_node("GlobalAveragePool", ["y"], ["mean"]),
        helper.make_node("Flatten", ["mean"], ["flat"]),
        helper.make_node("MatMul", ["flat", "matrix"], ["logits"]),
    ]
    graph = helper.make_graph(nodes, "tiny", [given], [found], weights)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    nothing = np.zeros((1, classes), np.float32)
    case = DriftCase(nothing, nothing, np.zeros(1, int))
    _write_package(folder, case, "opencv", model.SerializeToString(), side)


def _write_package(
    folder: Path, case: DriftCase, target: str = "lite-arm", model: bytes = b"none", side: int = 4
) -> None:
    count, classes = case.reference.shape
    engine = app_targets()[target].engine
    assert engine
    content = {
        engine.file: model,
        "preprocess.json": _json(Preprocess(resize_short=side, crop=side).to_json()),
        "labels.txt": b"".join(b"class %d\n" % index for index in range(classes)),
        "golden/crops.bin": bytes(count * side * side * 3),
        "golden/logits.bin": case.reference.astype("<f4").tobytes(),
        "golden/golden.json": _json(
            {
                "count": count,
                "shape": [count, side, side, 3],
                "names": [f"{index}.jpg" for index in range(count)],
                "labels": case.labels.tolist(),
            }
        ),
    }
    listed = {
        name: {"sha256": hashlib.sha256(data).hexdigest(), "bytes": len(data)}
        for name, data in content.items()
    }
    content["manifest.json"] = _json(
        {
            "schema": 2,
            "model": "SqueezeNet1_1",
            "name": "SqueezeNet1_1",
            "target": target,
            "precision": "fp32" if case.gate == "numeric" else "int8",
            "engine": engine.name,
            "engine_version": "v2.14-rc",
            "weights": "demo",
            "class_num": classes,
            "input_shape": [3, side, side],
            "gate": case.gate,
            "data": {
                "name": "made up",
                "images": count,
                "sha256": listed["golden/crops.bin"]["sha256"],
            },
            "files": listed,
        }
    )
    for name, data in content.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)


def _json(value: object) -> bytes:
    return json.dumps(value).encode()
