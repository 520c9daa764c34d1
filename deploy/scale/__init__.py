"""Many machines: the matrix' cells as jobs of a Ray cluster (docs/scale.md)."""
