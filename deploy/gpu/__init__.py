"""What `make gpu-check` runs on a machine with a GPU, and what it keeps of it."""
