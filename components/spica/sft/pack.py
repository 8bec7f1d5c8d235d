"""The packing planner: lengths and costs in, batches out. Pure: no tensors, no files, no ranks.

    epoch_batches   which samples make each optimizer step of an epoch
    plan_step       which rank takes which of them, in which packs

A pack is one sequence that holds several samples (one forward and backward of one rank).
"""

import numpy as np
from numpy.typing import NDArray

IntArray = NDArray[np.int64]
Plan = tuple[tuple[tuple[int, ...], ...], ...]


def epoch_batches(num_samples: int, batch_size: int, seed: int, epoch: int) -> IntArray:
    """Sample indices of every step of `epoch` (0-based), shape (num_samples // batch_size, batch_size).

    Remainder rule: each epoch is a new permutation, drawn from (seed, epoch); its last
    num_samples % batch_size samples are left out of that epoch, so that every step is full.
    """
    order = np.random.default_rng((seed, epoch)).permutation(num_samples)
    num_steps = num_samples // batch_size
    return order[: num_steps * batch_size].reshape(num_steps, batch_size).astype(np.int64)


def sample_costs(lengths: IntArray, hidden_size: int) -> NDArray[np.float64]:
    """Relative FLOPs of samples of these lengths (tokens) in a decoder of width `hidden_size`.

    A layer spends about 24 * hidden_size**2 FLOPs per token on its matrices and, causally,
    2 * hidden_size * length on attention: length * (1 + length / (12 * hidden_size)) in units of the first.
    """
    tokens = lengths.astype(np.float64)
    return tokens * (1.0 + tokens / (12.0 * hidden_size))


def plan_step(lengths: IntArray, costs: NDArray[np.float64], num_ranks: int, pack_tokens: int) -> Plan:
    """Spread one step's samples: plan[rank][pack] = positions in `lengths`.

    Every rank gets the same number of packs, as few as possible: ranks that gather partitioned weights
    (ZeRO-3) must run in lockstep. A pack holds at most `pack_tokens` tokens; a longer sample travels alone.
    Deterministic.

    Raises:
        ValueError: the number of samples is no positive multiple of `num_ranks` (a rank would stand idle).
    """
    num_samples = len(lengths)
    if num_samples == 0 or num_samples % num_ranks:
        raise ValueError(f"{num_samples} samples cannot be spread over {num_ranks} ranks")
    fewest = max(1, -(-int(lengths.sum()) // (pack_tokens * num_ranks)))
    for num_packs in range(min(fewest, num_samples // num_ranks), num_samples // num_ranks + 1):
        packs = _fill(lengths, costs, num_ranks * num_packs, pack_tokens)
        if packs is not None:
            return _deal(packs, costs, num_ranks, num_packs)
    raise AssertionError("one sample per pack always fits")


def _fill(
    lengths: IntArray, costs: NDArray[np.float64], num_packs: int, pack_tokens: int
) -> list[list[int]] | None:
    """Longest processing time first: the costliest sample goes to the cheapest pack that has room."""
    packs: list[list[int]] = [[] for _ in range(num_packs)]
    loads = np.zeros(num_packs)
    tokens = np.zeros(num_packs, dtype=np.int64)
    for sample in np.argsort(-costs, kind="stable"):
        room = (tokens + lengths[sample] <= pack_tokens) | (tokens == 0)
        if not room.any():
            return None
        pack = int(np.argmin(np.where(room, loads, np.inf)))
        packs[pack].append(int(sample))
        loads[pack] += costs[sample]
        tokens[pack] += lengths[sample]
    return packs


def _deal(packs: list[list[int]], costs: NDArray[np.float64], num_ranks: int, num_packs: int) -> Plan:
    """Give each rank `num_packs` packs, costliest pack first to the cheapest rank that still lacks one."""
    ranks: list[list[tuple[int, ...]]] = [[] for _ in range(num_ranks)]
    loads = np.zeros(num_ranks)
    cost = [float(costs[pack].sum()) for pack in packs]
    for index in sorted(range(len(packs)), key=lambda i: -cost[i]):
        lacking = np.array([len(rank) < num_packs for rank in ranks])
        rank = int(np.argmin(np.where(lacking, loads, np.inf)))
        ranks[rank].append(tuple(sorted(packs[index])))
        loads[rank] += cost[index]
    return tuple(tuple(rank) for rank in ranks)
