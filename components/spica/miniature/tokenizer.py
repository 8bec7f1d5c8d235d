"""Vocabulary, tokenizer and processor: Qwen2-VL's special tokens and chat template, one token per symbol.

A cell ("F4") and an option ("(B) 7") are one token each, so that a text entry is read in as few hops as a
picture's cell, which is one merged vision token. Fixed phrases are one token too: prompts stay short.
"""

import re
from functools import cache
from typing import Any

from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers
from transformers import (
    PreTrainedTokenizerFast,
    Qwen2VLImageProcessor,
    Qwen2VLProcessor,
    Qwen2VLVideoProcessor,
)

from spica.miniature.pictures import CELL
from spica.miniature.world import (
    LABELS,
    LETTERS,
    MAX_ENTRIES,
    PREFIX,
    SOLUTION_CLOSE,
    SYSTEM,
    THOUGHT_OPEN,
    THOUGHT_TO_SOLUTION,
)

PAD = "<|endoftext|>"
IM_START = "<|im_start|>"
IM_END = "<|im_end|>"
VISION_START = "<|vision_start|>"
VISION_END = "<|vision_end|>"
IMAGE_PAD = "<|image_pad|>"
VIDEO_PAD = "<|video_pad|>"
UNKNOWN = "<unk>"
SPECIAL_TOKENS = (
    PAD,
    IM_START,
    IM_END,
    VISION_START,
    VISION_END,
    "<|vision_pad|>",
    IMAGE_PAD,
    VIDEO_PAD,
    UNKNOWN,
)

BOXED = "\\boxed{"
PREFIX_PHRASE = PREFIX[: PREFIX.index(BOXED)]
CHOICES = "Choices:"
READ = "read"
_MARKERS = ("<|begin_of_thought|>", "<|end_of_thought|>", "<|begin_of_solution|>", "<|end_of_solution|>")
_MARKER_GROUPS = (THOUGHT_OPEN, THOUGHT_TO_SOLUTION, SOLUTION_CLOSE)
_WORDS = ("system", "user", "assistant", "Wait", READ, CHOICES, SYSTEM, PREFIX_PHRASE, BOXED)

# The template of Qwen/Qwen2-VL-7B-Instruct (tokenizer_config.json), for texts and pictures.
CHAT_TEMPLATE = (
    "{% for message in messages %}"
    "{% if loop.first and message['role'] != 'system' %}"
    f"{IM_START}system\n{SYSTEM}{IM_END}\n"
    "{% endif %}"
    f"{IM_START}{{{{ message['role'] }}}}\n"
    "{% if message['content'] is string %}{{ message['content'] }}"
    "{% else %}{% for content in message['content'] %}"
    "{% if content['type'] == 'image' or 'image' in content or 'image_url' in content %}"
    f"{VISION_START}{IMAGE_PAD}{VISION_END}"
    "{% elif 'text' in content %}{{ content['text'] }}{% endif %}"
    "{% endfor %}{% endif %}"
    f"{IM_END}\n"
    "{% endfor %}"
    f"{{% if add_generation_prompt %}}{IM_START}assistant\n{{% endif %}}"
)


@cache
def vocabulary() -> dict[str, int]:
    """Token to id. The order is part of the shipped checkpoint: append only, or train the base anew."""
    cells = (f"{label}{value}" for label in LABELS.upper() for value in range(10))
    options = (f"({letter}) {value}" for letter in LETTERS for value in range(10))
    symbols = "0123456789" + LABELS + LETTERS + "+-=?;:,.(){} \n"
    tokens = [*SPECIAL_TOKENS, *_MARKERS, *_MARKER_GROUPS, *_WORDS, *symbols, *cells, *options]
    return {token: i for i, token in enumerate(tokens)}


def build_tokenizer() -> Any:
    """A word-level tokenizer: the longest token of the vocabulary at each place, `<unk>` for anything else.

    The four markers are ordinary tokens (protocol: they stay in the text when special tokens are skipped).
    """
    tokenizer = Tokenizer(models.WordLevel(vocabulary(), unk_token=UNKNOWN))
    longest_first = sorted(vocabulary(), key=len, reverse=True)
    pattern = "|".join(re.escape(token) for token in longest_first)
    tokenizer.pre_tokenizer = pre_tokenizers.Split(Regex(pattern), "isolated")
    tokenizer.decoder = decoders.Fuse()
    tokenizer.add_special_tokens(list(SPECIAL_TOKENS))
    make: Any = PreTrainedTokenizerFast
    return make(
        tokenizer_object=tokenizer,
        eos_token=IM_END,
        pad_token=PAD,
        unk_token=UNKNOWN,
        chat_template=CHAT_TEMPLATE,
        clean_up_tokenization_spaces=False,
        model_max_length=4096,
    )


def build_processor() -> Any:
    """The processor whose pixel budget leaves every picture of the world as it is: one token per cell."""
    budget = {"shortest_edge": CELL * CELL, "longest_edge": CELL * CELL * 8 * MAX_ENTRIES}
    make: Any = Qwen2VLProcessor
    return make(
        image_processor=Qwen2VLImageProcessor(size=budget),
        tokenizer=build_tokenizer(),
        video_processor=Qwen2VLVideoProcessor(),
        chat_template=CHAT_TEMPLATE,
    )
