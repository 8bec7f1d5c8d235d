"""A real Kubernetes on one machine: `python -m bed up` (see ../README.md)."""
