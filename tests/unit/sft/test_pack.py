"""The planner: exact batches, whole samples, balanced ranks."""

import numpy as np
import pytest
from numpy.typing import NDArray

from spica.sft.pack import Plan, epoch_batches, plan_step, sample_costs


def plan(lengths: list[int], num_ranks: int, pack_tokens: int) -> Plan:
    tokens: NDArray[np.int64] = np.array(lengths, dtype=np.int64)
    return plan_step(tokens, tokens.astype(np.float64), num_ranks, pack_tokens)


def test_every_step_holds_exactly_the_batch_and_the_remainder_is_left_out() -> None:
    batches = epoch_batches(num_samples=11, batch_size=4, seed=7, epoch=0)
    assert batches.shape == (2, 4)
    assert len(set(batches.ravel().tolist())) == 8
    assert set(batches.ravel().tolist()) <= set(range(11))


def test_epochs_differ_and_equal_seeds_agree() -> None:
    first, again = epoch_batches(32, 8, 1, 0), epoch_batches(32, 8, 1, 0)
    assert first.tolist() == again.tolist()
    assert first.tolist() != epoch_batches(32, 8, 1, 1).tolist()
    assert first.tolist() != epoch_batches(32, 8, 2, 0).tolist()


def test_the_costliest_sample_goes_to_the_cheapest_rank() -> None:
    assert plan([5, 4, 3, 3, 2, 1], num_ranks=2, pack_tokens=100) == (((0, 3, 5),), ((1, 2, 4),))


def test_a_pack_never_exceeds_its_tokens() -> None:
    lengths = [6, 6, 6, 6, 3, 3, 3, 3]
    packs = [pack for rank in plan(lengths, num_ranks=2, pack_tokens=9) for pack in rank]
    assert [sum(lengths[i] for i in pack) for pack in packs] == [9, 9, 9, 9]


def test_a_sample_longer_than_a_pack_travels_alone() -> None:
    planned = plan([50, 2, 2, 2], num_ranks=2, pack_tokens=10)
    assert (0,) in planned[0]
    assert sorted(i for rank in planned for pack in rank for i in pack) == [0, 1, 2, 3]


def test_all_ranks_get_the_same_number_of_packs() -> None:
    planned = plan([9, 9, 9, 1, 1, 1], num_ranks=2, pack_tokens=10)
    assert [len(rank) for rank in planned] == [2, 2]
    assert all(pack for rank in planned for pack in rank)


@pytest.mark.parametrize("seed", range(20))
def test_a_plan_is_a_partition_within_capacity(seed: int) -> None:
    rng = np.random.default_rng(seed)
    lengths = rng.lognormal(5, 0.9, 48).astype(np.int64) + 1
    planned = plan_step(lengths, sample_costs(lengths, 128), 4, 1024)
    packs = [pack for rank in planned for pack in rank]
    assert sorted(i for pack in packs for i in pack) == list(range(48))
    assert all(lengths[list(pack)].sum() <= 1024 or len(pack) == 1 for pack in packs)
    assert len({len(rank) for rank in planned}) == 1


def test_samples_that_cannot_be_spread_are_refused() -> None:
    with pytest.raises(ValueError, match="5 samples cannot be spread over 2 ranks"):
        plan([1, 1, 1, 1, 1], num_ranks=2, pack_tokens=10)


def test_attention_makes_a_long_sample_cost_more_than_its_tokens() -> None:
    costs = sample_costs(np.array([12, 1200]), hidden_size=100)
    assert costs.tolist() == pytest.approx([12 * 1.01, 1200 * 2.0])
