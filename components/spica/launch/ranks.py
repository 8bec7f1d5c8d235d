"""What the environment of a training's ranks holds, wherever they run."""

from pathlib import Path


def rank_environment(threads_per_rank: int) -> dict[str, str]:
    """Variables to lay over those of the process that starts torchrun."""
    ranks = {
        "OMP_NUM_THREADS": str(threads_per_rank),
        # Unbuffered, Python writes a line piece by piece, and the pieces of several ranks mix; "" turns off
        # what an image or a caller has set.
        "PYTHONUNBUFFERED": "",
    }
    if not Path("/dev/nvidiactl").exists():
        ranks["DS_ACCELERATOR"] = "cpu"
    return ranks
