"""Token losses against torch's own cross entropy."""

import pytest
import torch
from torch import Tensor
from torch.autograd.graph import saved_tensors_hooks
from torch.nn.functional import cross_entropy

from spica.sft import loss
from spica.sft.loss import token_losses

NUM_LABELS, NUM_WORDS = 37, 501


@pytest.fixture
def few_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loss, "_CHUNK_LOGITS", 8 * NUM_WORDS + 1)


@pytest.mark.usefixtures("few_rows")
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_losses_and_gradients_are_those_of_cross_entropy_bit_for_bit(dtype: torch.dtype) -> None:
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(NUM_LABELS, NUM_WORDS, generator=generator).to(dtype)
    labels = torch.randint(NUM_WORDS, (NUM_LABELS,), generator=generator)
    weights = torch.rand(NUM_LABELS, generator=generator)
    found, expected = logits.clone().requires_grad_(), logits.clone().requires_grad_()
    losses = token_losses(found * 1.0, labels)
    of_torch = cross_entropy(expected.float(), labels, reduction="none")
    assert torch.equal(losses, of_torch)
    (losses * weights).sum().backward()
    (of_torch * weights).sum().backward()
    assert torch.equal(found.grad, expected.grad)


def test_nothing_but_logits_and_labels_is_kept_for_the_backward_pass() -> None:
    kept: list[Tensor] = []

    def keep(tensor: Tensor) -> Tensor:
        kept.append(tensor)
        return tensor

    logits = torch.randn(4, 6, dtype=torch.bfloat16, requires_grad=True)
    labels = torch.tensor([0, 5, 2, 2])
    with saved_tensors_hooks(keep, lambda tensor: tensor):
        token_losses(logits, labels)
    assert sum(tensor.nbytes for tensor in kept) == logits.nbytes + labels.nbytes
