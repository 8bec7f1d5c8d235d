r"""ChatRow -> sample: tokens by the checkpoint's chat template, labels on the assistant's words, positions.

    {"id": "geos-17", "messages": [{"role": "user", "content": "<image>Please ...\nc+h=?"},
     {"role": "assistant", "content": "<|begin_of_thought|> ... \\boxed{7} ..."}], "images": ["images/3.png"]}

A row that cannot be used is refused with its id and the reason, and counted; nothing is ever cut to fit.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import TypeAdapter, ValidationError
from torch import Tensor

from spica.artifacts.types import ChatRow, Row
from spica.errors import DataError, Fault
from spica.sft.pictures import Pictures

PLACEHOLDER = "<image>"
_ROWS = TypeAdapter(list[ChatRow])

RopeIndex = Callable[..., tuple[Tensor, Tensor]]
"""Qwen2VLModel.get_rope_index of the model that is trained."""


class Refused(Row):
    """A row that takes no part, and why."""

    file: str
    id: str
    reason: str


@dataclass(frozen=True)
class Sample:
    """One row, ready to be packed."""

    id: str
    tokens: NDArray[np.int64]
    """Shape (length,); ends with the last token that is learned."""
    is_label: NDArray[np.bool_]
    """Shape (length,); the tokens that the assistant says, its end-of-turn token included."""
    positions: NDArray[np.int64]
    """Shape (3, length): M-RoPE positions along time, height and width, from 0."""
    pictures: tuple[Path, ...] = ()

    @property
    def num_labels(self) -> int:
        """Tokens that count in the loss."""
        return int(self.is_label.sum())


class Encoded(NamedTuple):
    samples: list[Sample]
    refused: list[Refused]


class _Refusal(Exception):
    """Why a row is refused."""


def read_rows(folder: Path, file: str) -> list[ChatRow]:
    """Read an array of ChatRow.

    Raises:
        DataError: the file is missing or is no array of such rows; names the first fault.
    """
    path = folder / file
    try:
        return _ROWS.validate_json(path.read_bytes())
    except FileNotFoundError:
        raise DataError(
            Fault(str(path), "no such file", "an array of chat rows", "run dataset again")
        ) from None
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = f"{path}: {'.'.join(map(str, first['loc']))}"
        raise DataError(
            Fault(
                where,
                f"{first['msg']} ({error.error_count()} faults)",
                "rows with id, messages, images",
                "mend it",
            )
        ) from None


class Encoder:
    """Turns rows into samples with one checkpoint's tokenizer, template, image processor and positions."""

    def __init__(self, processor: Any, rope_index: RopeIndex, pictures: Pictures, cutoff_len: int) -> None:
        """`cutoff_len`: longest sample in tokens, picture tokens included."""
        self._tokenizer = processor.tokenizer
        self._image_token: int = processor.image_token_id
        self._merge: int = processor.image_processor.merge_size**2
        self._rope_index = rope_index
        self._pictures = pictures
        self._cutoff_len = cutoff_len
        self._special = [t.content for t in self._tokenizer.added_tokens_decoder.values() if t.special]

    def encode(self, rows: Sequence[ChatRow], folder: Path, file: str) -> Encoded:
        """Encode rows whose pictures lie under `folder`; `file` is named in refusals."""
        paths = {image: self._locate(folder, image) for row in rows for image in row.images}
        bad = self._pictures.check(path for path in paths.values() if path is not None)
        refused: dict[int, str] = {}
        turns: dict[int, tuple[str, list[tuple[int, int]]]] = {}
        for index, row in enumerate(rows):
            try:
                self._check(row, paths, bad)
                turns[index] = self._render(row)
            except _Refusal as refusal:
                refused[index] = str(refusal)
        samples: list[Sample] = []
        texts = [text for text, _ in turns.values()]
        batch = self._tokenizer(texts, add_special_tokens=False, return_offsets_mapping=True) if texts else {}
        for position, (index, (_, spans)) in enumerate(turns.items()):
            pictures = tuple(path for image in rows[index].images if (path := paths[image]) is not None)
            try:
                samples.append(
                    self._sample(
                        rows[index].id,
                        np.asarray(batch["input_ids"][position], dtype=np.int64),
                        np.asarray(batch["offset_mapping"][position], dtype=np.int64).reshape(-1, 2),
                        spans,
                        pictures,
                    )
                )
            except _Refusal as refusal:
                refused[index] = str(refusal)
        return Encoded(
            samples,
            [Refused(file=file, id=rows[i].id, reason=reason) for i, reason in sorted(refused.items())],
        )

    @staticmethod
    def _locate(folder: Path, image: str) -> Path | None:
        try:
            path = (folder / image).resolve()
        except (OSError, RuntimeError, ValueError):  # a name too long, a loop of links, a NUL in the name
            return None
        return path if path.is_relative_to(folder.resolve()) else None

    def _check(self, row: ChatRow, paths: dict[str, Path | None], bad: dict[Path, str]) -> None:
        num_placeholders = sum(message.content.count(PLACEHOLDER) for message in row.messages)
        if num_placeholders != len(row.images):
            raise _Refusal(f"{num_placeholders} {PLACEHOLDER} for {len(row.images)} pictures")
        if not row.messages or row.messages[-1].role != "assistant":
            raise _Refusal("the last message is not the assistant's")
        for image in row.images:
            path = paths[image]
            if path is None:
                raise _Refusal(f"picture {image!r} lies outside the dataset")
            if path in bad:
                raise _Refusal(bad[path])
        for message in row.messages:
            for special in self._special:
                if special in message.content:
                    raise _Refusal(f"special token {special} inside a message")

    def _render(self, row: ChatRow) -> tuple[str, list[tuple[int, int]]]:
        """The chat text, and the character spans of what the assistant says."""
        messages = [{"role": m.role, "content": _content(m.content)} for m in row.messages]
        text, spans = "", []
        for index, message in enumerate(messages):
            if message["role"] != "assistant":
                continue
            prompt = self._template(messages[:index], add_generation_prompt=True)
            text = self._template(messages[: index + 1], add_generation_prompt=False)
            if not text.startswith(prompt):
                raise _Refusal("the chat template changes earlier text when a message follows")
            # The template's newline after the end-of-turn token is never generated.
            spans.append((len(prompt), len(text.rstrip("\n"))))
        return text, spans

    def _template(self, messages: list[dict[str, Any]], add_generation_prompt: bool) -> str:
        return str(
            self._tokenizer.apply_chat_template(
                messages, tokenize=False, add_generation_prompt=add_generation_prompt
            )
        )

    def _sample(
        self,
        row_id: str,
        tokens: NDArray[np.int64],
        offsets: NDArray[np.int64],
        spans: list[tuple[int, int]],
        pictures: tuple[Path, ...],
    ) -> Sample:
        is_label = np.zeros(len(tokens), dtype=np.bool_)
        for start, end in spans:
            is_label |= (offsets[:, 0] >= start) & (offsets[:, 1] <= end) & (offsets[:, 1] > offsets[:, 0])
        is_label[:1] = False  # nothing before the first token predicts it
        if not is_label.any():
            raise _Refusal("the assistant says nothing")
        last = int(np.flatnonzero(is_label)[-1]) + 1
        tokens, is_label = tokens[:last], is_label[:last]
        grids = [self._pictures.grid(path) for path in pictures]
        if grids:
            tokens, is_label = self._expand(tokens, is_label, grids)
        if len(tokens) > self._cutoff_len:
            raise _Refusal(f"{len(tokens)} tokens, cutoff_len is {self._cutoff_len}")
        return Sample(row_id, tokens, is_label, self._positions(tokens, grids), pictures)

    def _expand(
        self, tokens: NDArray[np.int64], is_label: NDArray[np.bool_], grids: list[tuple[int, int, int]]
    ) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
        """Repeat each picture token once per merged patch, as Qwen2VLProcessor does."""
        repeats = np.ones(len(tokens), dtype=np.int64)
        at = np.flatnonzero(tokens == self._image_token)
        if len(at) != len(grids):
            raise _Refusal(f"the chat template made {len(at)} picture tokens for {len(grids)} pictures")
        repeats[at] = [t * h * w // self._merge for t, h, w in grids]
        return np.repeat(tokens, repeats), np.repeat(is_label, repeats)

    def _positions(self, tokens: NDArray[np.int64], grids: list[tuple[int, int, int]]) -> NDArray[np.int64]:
        if not grids:
            return np.broadcast_to(np.arange(len(tokens), dtype=np.int64), (3, len(tokens)))
        positions, _ = self._rope_index(
            input_ids=torch.from_numpy(tokens)[None],
            mm_token_type_ids=torch.from_numpy((tokens == self._image_token).astype(np.int32))[None],
            image_grid_thw=torch.tensor(grids),
        )
        return np.asarray(positions[:, 0].numpy(), dtype=np.int64)


def _content(content: str) -> str | list[dict[str, str]]:
    """OpenAI-style parts where a message shows pictures, else the text itself."""
    if PLACEHOLDER not in content:
        return content
    parts: list[dict[str, str]] = []
    for index, text in enumerate(content.split(PLACEHOLDER)):
        if index:
            parts.append({"type": "image"})
        if text:
            parts.append({"type": "text", "text": text})
    return parts
