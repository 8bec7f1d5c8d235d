"""A tiny model in one process, and gradients taken one sample at a time: what the ranks must agree with."""

from pathlib import Path

import torch
from torch import Tensor
from transformers import Qwen2VLProcessor

from spica.sft.collate import Pack, collate
from spica.sft.data import Encoder, Sample, read_rows
from spica.sft.engine import load_student, loss_sum
from spica.sft.pictures import Pictures

CPU = torch.device("cpu")


class World:
    """A tiny model in fp32 and samples of both modalities."""

    def __init__(self, student: Path, chat: Path) -> None:
        self.model = load_student(student, torch.float32, "all").model
        processor = Qwen2VLProcessor.from_pretrained(student)
        self.pictures = Pictures(processor.image_processor, torch.float32)
        encoder = Encoder(processor, self.model.model.get_rope_index, self.pictures, 512)
        self.all = encoder.encode(read_rows(chat, "train.json"), chat, "train.json").samples
        self.text = self.all[5]
        self.samples = [self.all[0], self.all[-10], self.all[1], self.all[-7]]

    def pack(self, samples: list[Sample]) -> Pack:
        return collate(samples, self.pictures.patches, self.pictures.grid, CPU)

    def gradients(self, packs: list[Pack], num_samples: int = 4) -> tuple[float, dict[str, Tensor]]:
        self.model.zero_grad()
        total = 0.0
        for pack in packs:
            loss = loss_sum(self.model, None, pack) / num_samples
            loss.backward()
            total += loss.item()
        return total, {n: p.grad.clone() for n, p in self.model.named_parameters() if p.grad is not None}
