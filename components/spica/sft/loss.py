"""Cross entropy of label rows that keeps nothing but the logits themselves."""

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn.functional import cross_entropy

_CHUNK_LOGITS = 2**26
"""Logits at a time; each takes 12 bytes while its gradient is computed."""


def token_losses(logits: Tensor, labels: Tensor) -> Tensor:
    """Cross entropy of each row in fp32: the values and gradients of torch's, bit for bit.

    cross_entropy over all rows peaks at 12 bytes per logit in its backward pass: 60 GB for one sample of
    32,768 tokens and Qwen2-VL's 152,064 words, more than a GPU of 80 GB has left beside 72B's share. Here the
    gradient takes the place of the logits, a few rows at a time; nothing else may need them after that.

    Args:
        logits: (num_labels, num_words), any floating type.
        labels: (num_labels,)

    Returns:
        (num_labels,) float32.
    """
    losses: Tensor = _TokenLosses.apply(logits, labels)  # type: ignore[no-untyped-call]  # torch types none
    return losses


class _TokenLosses(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, logits: Tensor, labels: Tensor) -> Tensor:
        ctx.save_for_backward(logits, labels)
        ctx.rows = max(1, _CHUNK_LOGITS // logits.shape[1])
        chunks = zip(*(torch.split(x, ctx.rows) for x in (logits, labels)), strict=True)
        return torch.cat([cross_entropy(x.float(), y, reduction="none") for x, y in chunks])

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        logits, labels = ctx.saved_tensors
        parts = (torch.split(x, ctx.rows) for x in (logits, labels, gradient))
        for chunk, *rest in zip(*parts, strict=True):
            chunk.copy_(_slope(chunk, *rest))
        return logits, None


@torch.enable_grad()
def _slope(logits: Tensor, labels: Tensor, gradient: Tensor) -> Tensor:
    rows = logits.detach().float().requires_grad_()
    losses = cross_entropy(rows, labels, reduction="none")
    return torch.autograd.grad(losses, rows, gradient)[0]
