"""Asking a server that speaks KServe v2 (the Open Inference Protocol) for its model's logits.

`address` and `description` run on both sides; what asks, `client`, is in .venv-serve.
"""
