"""The signals that end a command, where Paddle runs in the command's own process."""

from common import cli


def take_back_signals() -> None:
    """Let Paddle have no signal handlers: its own end the process before anything is cleaned up."""
    import paddle

    paddle.disable_signal_handler()
    cli.take_signals()
