"""A network while it learns: its optimizer, its steps, and what a later run needs to go on."""

import math
from collections.abc import Mapping
from fnmatch import fnmatch
from typing import TYPE_CHECKING, Any

import numpy as np

from common.console import progress, say, shown
from models.weights import Weights, class_count, classifier, load_state, read_network
from training.plan import Plan
from training.recipes import Recipe

if TYPE_CHECKING:
    from paddle import nn

    from data.crops import Crops

_JUDGED_AT_ONCE = 32  # photos


class Learner:
    """A network, its optimizer, and the steps that they take together."""

    def __init__(self, plan: Plan, init: Weights | None):
        import paddle

        self._plan = plan
        self._mixed_precision = paddle.device.get_device().startswith("gpu")
        self.network = _initial_network(plan, init)
        self._runner = paddle.DataParallel(self.network) if plan.devices > 1 else self.network
        self._optimizer = _optimizer(plan.recipe, self.network)
        self._scaler = paddle.amp.GradScaler(enable=self._mixed_precision)

    def step(self, images: np.ndarray, targets: np.ndarray, lr: float) -> float:
        """Learn from a batch; return its loss. A loss that is not finite is not learnt from."""
        import paddle
        from paddle.nn.functional import cross_entropy

        self._runner.train()
        with paddle.amp.auto_cast(enable=self._mixed_precision):
            logits = self._runner(paddle.to_tensor(images))
        loss = cross_entropy(logits.astype("float32"), paddle.to_tensor(targets), soft_label=True)
        value = self._mean(loss)
        if math.isfinite(value):
            self._optimizer.set_lr(lr)
            self._scaler.scale(loss).backward()
            self._scaler.step(self._optimizer)
            self._scaler.update()
            self._optimizer.clear_grad()
        return value

    def _mean(self, loss) -> float:
        """The mean loss of all devices, so that they all stop, or none does."""
        import paddle

        if self._plan.devices == 1:
            return float(loss)
        total = loss.detach().clone()
        paddle.distributed.all_reduce(total)
        return float(total) / self._plan.devices

    def judge(self, crops: "Crops") -> tuple[int, bool]:
        """How many photos the network in evaluation mode gets right, and whether it is dead: photos
        that differ all have the same logits, to the last bit."""
        import paddle

        self.network.eval()
        right, preprocess = 0, self._plan.spec.preprocess
        first, photos_differ, logits_differ = None, False, False
        with paddle.no_grad(), progress("judging", "photos") as update:
            for start in range(0, len(crops), _JUDGED_AT_ONCE):
                rows = range(start, min(start + _JUDGED_AT_ONCE, len(crops)))
                [images] = crops.batches(len(rows), preprocess, rows)
                logits = self.network(paddle.to_tensor(images)).numpy()
                right += int((logits.argmax(1) == crops.truth[list(rows)]).sum())
                if not logits_differ:
                    first = first or (images[0].copy(), logits[0])
                    photos_differ = photos_differ or bool((images != first[0]).any())
                    logits_differ = bool((logits != first[1]).any())
                update(rows.stop, len(crops))
        return right, photos_differ and not logits_differ

    def weights(self) -> dict[str, np.ndarray]:
        """The network's state dict."""
        return {name: value.numpy() for name, value in self.network.state_dict().items()}

    def state(self) -> dict[str, Any]:
        """All that a later run needs to go on, as plain containers of arrays."""
        memory = self._optimizer.state_dict()
        memory.pop("LR_Scheduler", None)
        return {
            "network": self.weights(),
            "optimizer": {name: value.numpy() for name, value in memory.items()},
            "scaler": self._scaler.state_dict(),
        }

    def restore(self, state: Mapping[str, Any]) -> None:
        self.network.set_state_dict(dict(state["network"]))
        self._optimizer.set_state_dict(dict(state["optimizer"]))
        self._scaler.load_state_dict(dict(state["scaler"]))


def _initial_network(plan: Plan, init: Weights | None) -> "nn.Layer":
    """The network with fresh weights, or with those of a checkpoint.

    The checkpoint may be for other classes; then its classifier is not taken.
    """
    import paddle

    paddle.seed(plan.seed)
    options = {"drop_path": plan.recipe.drop_path} if plan.recipe.drop_path else {}
    network = plan.spec.build(class_num=plan.classes, **options)
    if init is not None:
        shapes = {name: tuple(value.shape) for name, value in network.state_dict().items()}
        head, theirs = classifier(shapes), class_count(read_network(init.file, init.key, tell=True))
        state = load_state(init, _with_classes(shapes, head, theirs))
        if theirs != plan.classes:
            say(
                f"  the classifier starts anew: {shown(init.file)} tells {theirs} classes apart, "
                f"these photos {plan.classes}"
            )
            state |= {
                name: network.state_dict()[name].numpy()
                for name in (f"{head}.weight", f"{head}.bias")
            }
        network.set_state_dict(state)
    return network


def _with_classes(shapes: Mapping[str, tuple], head: str, classes: int) -> dict[str, tuple]:
    """The shapes of the same network with another number of classes."""
    weight = shapes[f"{head}.weight"]  # linear [width, classes], or convolution [classes, …]
    weight = (weight[0], classes) if len(weight) == 2 else (classes, *weight[1:])
    return {**shapes, f"{head}.weight": weight, f"{head}.bias": (classes,)}


def _optimizer(recipe: Recipe, network: "nn.Layer"):
    from paddle import optimizer

    shared = {
        "learning_rate": recipe.lr[0],  # each step sets its own
        "parameters": network.parameters(),
        "weight_decay": recipe.weight_decay,
    }
    if recipe.optimizer == "momentum":
        return optimizer.Momentum(momentum=recipe.momentum, **shared)
    decayed = {
        value.name
        for name, value in network.named_parameters()
        if not any(fnmatch(name, pattern) for pattern in recipe.no_decay)
    }
    return optimizer.AdamW(
        beta1=recipe.betas[0],
        beta2=recipe.betas[1],
        epsilon=recipe.epsilon,
        apply_decay_param_fun=decayed.__contains__,
        **shared,
    )
