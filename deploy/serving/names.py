"""What clients and the server's own parts call things."""

INPUT, OUTPUT = "x", "logits"
PHOTO = "photo"
LABELS = "labels.txt"
SESSION = "session.json"  # in a version's folder: what `deploy.serving.network` opens


def photo_name(name: str) -> str:
    """The model that takes photo files for a model that takes tensors."""
    return f"{name}_{PHOTO}"


def preprocess_name(name: str) -> str:
    """The model that prepares photos for it."""
    return f"{name}_preprocess"
