"""Paddle Lite's optimizer. Runs in .venv-lite (CPython 3.7).

Imports nothing of the project, which is written for newer Pythons.
"""

from paddlelite import lite


def optimize(model, parameters, output, target, fp16=False):
    """Turn an inference graph into `output` + ".nb" for a target ("arm" or "x86").

    The optimizer ends with status 0 for a damaged graph, and aborts for others: load and run
    what it made. Returns its version.
    """
    opt = lite.Opt()
    opt.set_model_file(model)
    opt.set_param_file(parameters)
    if fp16:
        opt.enable_fp16()  # without effect once the places are set
    opt.set_valid_places(target)
    opt.set_model_type("naive_buffer")
    opt.set_optimize_out(output)
    opt.run()
    return opt.version()
