"""From a model's name to its files: the inference graph that all targets start from."""

from common.errors import UserError
from convert.artifact import Artifact
from convert.export import export, exported
from models.registry import MODELS, ModelSpec, find_model
from models.weights import available, find_weights


def inference_graph(spec: ModelSpec, weights: str | None, class_num: int | None) -> Artifact:
    """The inference graph of a model.

    With `weights` or `class_num` given it is made from those; without, the graph that an earlier
    export left is taken as it is, and where there is none, the weights that are found here.
    """
    found = exported(spec.name)
    if weights is None and class_num in (None, found and found.facts["class_num"]) and found:
        return found
    return export(spec, find_weights(spec, weights), class_num or 1000)


def choose_models(names: list[str] | None, weights: str | None) -> tuple[list, dict[str, str]]:
    """The models to work on, and those that are skipped, each with the reason.

    Without names: every model that has weights here. A graph exported from random weights counts
    only for a model that is named.
    """
    if names:
        return [find_model(name) for name in dict.fromkeys(names)], {}
    if weights is not None:
        raise UserError("--weights needs --model, so that it is clear whose weights they are")
    chosen, skipped = [], {}
    for spec in MODELS.values():
        graph = exported(spec.name)
        if graph and graph.facts["weights"] == "random":
            skipped[spec.name] = f"exported from random weights; name it: --model {spec.name}"
        elif graph or available(spec):
            chosen.append(spec)
        else:
            skipped[spec.name] = "no weights here"
    return chosen, skipped
