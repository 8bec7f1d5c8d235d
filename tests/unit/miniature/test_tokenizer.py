from typing import Any

import numpy as np
import pytest

from spica.miniature.tokenizer import build_processor, build_tokenizer
from spica.miniature.world import (
    MAX_ENTRIES,
    MODALITIES,
    Modality,
    Problem,
    respond,
    sample_problem,
    short_response,
)


def _messages(problem: Problem, modality: Modality, answer: str) -> list[dict[str, Any]]:
    content = [{"type": "text", "text": problem.prompt(modality)}]
    if modality != "text":
        content.insert(0, {"type": "image"})
    return [{"role": "user", "content": content}, {"role": "assistant", "content": answer}]


@pytest.mark.parametrize("modality", MODALITIES)
def test_every_prompt_and_response_is_encoded_and_decoded_without_loss(modality: Modality) -> None:
    rng, processor = np.random.default_rng(0), build_processor()
    texts = []
    for num_steps in range(1, MAX_ENTRIES + 1):
        for num_options in (0, 4, 5):
            for recheck in range(num_steps + 1):
                num_cells = int(rng.integers(num_steps, MAX_ENTRIES + 1))
                problem = sample_problem(rng, num_steps, num_cells, None, num_options)
                for answer in (respond(problem, recheck), short_response(problem)):
                    messages = _messages(problem, modality, answer)
                    texts.append(processor.apply_chat_template(messages, tokenize=False))
    encoded = processor.tokenizer(texts)["input_ids"]
    assert not any(processor.tokenizer.unk_token_id in ids for ids in encoded)
    assert processor.tokenizer.batch_decode(encoded) == texts


def test_an_unknown_word_is_the_unknown_token() -> None:
    tokenizer = build_tokenizer()
    assert tokenizer.unk_token_id in tokenizer("c+h=? naturally")["input_ids"]


def test_a_cell_an_option_and_a_marker_group_are_one_token_each() -> None:
    text = "<|begin_of_thought|>\n\nF4(B) 7\n\n<|end_of_solution|>"
    assert len(build_tokenizer()(text)["input_ids"]) == 4


def test_markers_survive_when_special_tokens_are_skipped() -> None:
    tokenizer = build_tokenizer()
    ids = tokenizer("<|end_of_thought|>\\boxed{7}<|im_end|>")["input_ids"]
    assert tokenizer.decode(ids, skip_special_tokens=True) == "<|end_of_thought|>\\boxed{7}"


def test_the_chat_template_adds_the_default_system_message() -> None:
    processor = build_processor()
    messages: Any = [{"role": "user", "content": [{"type": "image"}, {"type": "text", "text": "c=?"}]}]
    assert processor.apply_chat_template(messages, tokenize=False, add_generation_prompt=True) == (
        "<|im_start|>system\nYou are a helpful assistant.<|im_end|>\n"
        "<|im_start|>user\n<|vision_start|><|image_pad|><|vision_end|>c=?<|im_end|>\n<|im_start|>assistant\n"
    )


def test_a_given_system_message_replaces_the_default() -> None:
    messages = [{"role": "system", "content": "read"}, {"role": "user", "content": "c=?"}]
    assert build_processor().apply_chat_template(messages, tokenize=False) == (
        "<|im_start|>system\nread<|im_end|>\n<|im_start|>user\nc=?<|im_end|>\n"
    )
