"""The files that a user asks to serve, made like those of every other command."""

from argparse import Namespace

from common.errors import StepError, UnavailableError, UserError
from convert.builds import Chosen
from deploy.packages.labels import find_labels
from deploy.request.arguments import chosen_builds, chosen_cells, chosen_files
from deploy.request.building import build_files, inference_graph
from deploy.request.opening import ready_to_make
from deploy.request.values import Cell
from deploy.serving.models import Model, check_names
from deploy.targets import TARGETS
from runtimes.session_pool import NATIVE


def chosen_cell(options: Namespace) -> Cell:
    """The one file of each build that is served: a target and a precision, fp32 unless named."""
    names = options.target or options.target_default
    if len(names) > 1 or names == ["all"] or len(options.precision or ()) > 1:
        raise UserError("a server has one file of each model: name one TARGET and one PRECISION")
    options.precision = options.precision or ["fp32"]
    [(target, precision)] = chosen_cells(options)
    if target.serving(precision) is None:
        known = [name for name, one in TARGETS.items() if one.serving(one.precisions[0])]
        raise UserError(f"target {target.name} is not served, only {', '.join(known)} are")
    return target, precision


def check_runs_here(cell: Cell) -> None:
    """UnavailableError where the server here does not run a target's file as it is meant."""
    target, precision = cell
    session_spec = target.served_session_spec(precision)
    if session_spec.execution != NATIVE:
        raise UnavailableError(
            f"{target.name} {precision} cannot be served here, since it would only be "
            f"{session_spec.execution}: {session_spec.reason}"
        )


def models_to_serve(options: Namespace, cell: Cell) -> list[Model]:
    """The builds that the arguments name, each with its file of this cell.

    Raises StepError where a step fails, UnavailableError where the file cannot be made here.
    """
    chosen = chosen_builds(options)
    models = [_model(one, options, cell) for one in chosen]
    check_names([model.name for model in models])
    return models


def _model(chosen: Chosen, options: Namespace, cell: Cell) -> Model:
    wanted = chosen_files(options)
    graph = inference_graph(chosen, wanted)
    cells, choices = ready_to_make(graph, [cell], wanted)
    outcome = build_files(graph, cells, choices).get(cell)
    if isinstance(outcome, StepError):
        raise outcome
    target, precision = cell
    if outcome is None:
        raise UnavailableError(f"{target.name} {precision} is unavailable: {target.problem()}")
    return Model(graph, target, precision, outcome, find_labels(graph, None))
