"""The accuracy of a checkpoint on labelled photos, and the classes that it gets wrong most.

    python deploy/evaluate.py --model SqueezeNet1_1 --data DIR [--weights FILE]

Runs the exported graph with Paddle Inference, which is what drift is measured against.
"""

import json
import sys
import time

if __name__ == "__main__":
    sys.path.insert(0, f"{sys.path[0]}/..")
    import common.start  # noqa: F401

from typing import Any

from common import console
from common.cli import Exit, Parser, run
from convert.builds import choose, named_classes, split_of
from data.images import DEMO
from deploy.request.arguments import (
    add_data_arguments,
    add_one_build_argument,
    add_seen_argument,
    add_weight_arguments,
)
from deploy.request.building import class_count, inference_graph, known_split
from deploy.request.values import Files, Photos
from deploy.targets.paddle import REFERENCE
from runtimes.session_pool import open_sessions

_BATCH = 10


def main() -> int:
    parser = Parser(prog="python deploy/evaluate.py", description=__doc__)
    add_one_build_argument(parser)
    add_weight_arguments(parser)
    add_data_arguments(parser)
    add_seen_argument(parser)
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    options = parser.parse_args()
    chosen = choose(options.model, options.name)
    photos = Photos(
        options.data or DEMO,
        options.photos,
        options.skip_bad,
        named=options.data is not None,
        allow_seen=options.allow_seen,
    )
    files = Files(
        options.weights,
        options.classes,
        weights_key=options.weights_key,
        config=options.config,
    )

    from data.crops import load_crops
    from deploy.request.judging import numbered_as
    from deploy.verdict.accuracy import accuracy

    # A mistyped folder is refused before any work.
    images = photos.open(class_count(chosen, files), known_split(chosen, files))
    graph = inference_graph(chosen, files)
    images = numbered_as(graph, images)
    split = split_of(graph)
    with console.progress(f"decoding {images.name}", "photos") as progress:
        crops = load_crops(images, graph.preprocess, skip_bad=photos.skip_bad, progress=progress)
    with (
        open_sessions(REFERENCE, graph.folder, "fp32") as sessions,
        console.progress(graph.name, "photos") as progress,
    ):
        started = time.perf_counter()
        logits = sessions(crops.batches(_BATCH, graph.preprocess), progress, len(crops))
        speed = len(crops) / (time.perf_counter() - started)
    found = {
        "model": graph.model,
        "name": graph.name,
        "weights": graph.facts["weights"],
        "data": {
            "name": crops.name,
            "images": len(crops),
            "skipped": len(crops.skipped),
            "sha256": crops.sha256,
            "seen": int(split.training.known.has(crops.hashes).sum()) if split else 0,
        },
        **accuracy(logits, crops.truth, images.class_names or named_classes(graph)),
        "photos_per_second": speed,
    }
    if options.json:
        print(json.dumps(found, ensure_ascii=False))
    else:
        _show(found)
    return Exit.OK


def _show(found: dict[str, Any]) -> None:
    data = found["data"]
    print(f"{found['name']} ({found['weights']} weights), {data['images']} photos ({data['name']})")
    if data["seen"]:
        print(f"  seen in training: {data['seen']} of them, so this is no accuracy on new photos")
    for name, title in (("top1", "top-1"), ("top5", "top-5")):
        low, high = found[name]["ci95"]
        share = 100 * found[name]["share"]
        print(f"  {title}  {share:.1f} %  (95 % interval {100 * low:.1f} to {100 * high:.1f})")
    print(f"  speed  {found['photos_per_second']:.0f} photos/s (Paddle Inference, batch {_BATCH})")
    if found["worst_classes"]:
        print()
        console.table(
            "Classes recognised least",
            ["class", ">photos", ">recall %", "most often taken for"],
            [
                [
                    entry["class"],
                    str(entry["photos"]),
                    f"{100 * entry['recall']:.0f}",
                    entry["taken_for"] or "-",
                ]
                for entry in found["worst_classes"]
            ],
        )


if __name__ == "__main__":
    run(main)
