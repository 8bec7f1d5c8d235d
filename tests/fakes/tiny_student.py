"""A random Qwen2-VL checkpoint with the miniature's tokenizer, and chat rows it can learn from."""

import hashlib
import json
import random
from pathlib import Path
from typing import Any

import torch
from PIL import Image
from transformers import GenerationConfig, Qwen2VLConfig, Qwen2VLForConditionalGeneration

from spica.miniature.tokenizer import build_processor, vocabulary

PREFIX = "Please first think deeply about the question, and then put the final answer in \\boxed{}.\n"


def write_student(folder: Path, hidden_size: int = 32, num_layers: int = 2, seed: int = 0) -> Path:
    """A random checkpoint of the real classes, in bf16, as the student stage would deliver it."""
    words = vocabulary()
    head_dim = hidden_size // 4
    rotary = [head_dim // 8, (head_dim // 2 - head_dim // 8) // 2, 0]
    rotary[2] = head_dim // 2 - rotary[0] - rotary[1]
    config = Qwen2VLConfig(
        text_config={
            "vocab_size": len(words),
            "hidden_size": hidden_size,
            "intermediate_size": 3 * hidden_size,
            "num_hidden_layers": num_layers,
            "num_attention_heads": 4,
            "num_key_value_heads": 2,
            "max_position_embeddings": 4096,
            "rope_parameters": {
                "rope_type": "default",
                "type": "mrope",
                "mrope_section": rotary,
                "rope_theta": 30.0,
            },
            "tie_word_embeddings": False,
            "bos_token_id": None,
            "eos_token_id": words["<|im_end|>"],
            "pad_token_id": words["<|endoftext|>"],
            "initializer_range": 0.05,
        },
        vision_config={
            "depth": 1,
            "embed_dim": 32,
            "hidden_size": hidden_size,
            "num_heads": 2,
            "mlp_ratio": 2,
            "patch_size": 14,
            "spatial_merge_size": 2,
            "temporal_patch_size": 2,
            "initializer_range": 0.05,
        },
        image_token_id=words["<|image_pad|>"],
        video_token_id=words["<|video_pad|>"],
        vision_start_token_id=words["<|vision_start|>"],
        vision_end_token_id=words["<|vision_end|>"],
        tie_word_embeddings=False,
    )
    torch.manual_seed(seed)
    model = Qwen2VLForConditionalGeneration(config).to(torch.bfloat16)
    model.save_pretrained(folder)
    build_processor().save_pretrained(folder)
    GenerationConfig(eos_token_id=words["<|im_end|>"], pad_token_id=words["<|endoftext|>"]).save_pretrained(
        folder
    )
    return folder


def write_chat(folder: Path, num_text: int, num_visual: int = 0, num_val: int = 2, seed: int = 0) -> Path:
    """A chat artifact: train.json and val.json with text rows and picture rows of random lengths."""
    rng = random.Random(seed)
    (folder / "images").mkdir(parents=True, exist_ok=True)
    rows = [_row(folder, f"t{i}", rng, visual=False) for i in range(num_text)]
    rows += [_row(folder, f"v{i}", rng, visual=True) for i in range(num_visual)]
    (folder / "train.json").write_text(json.dumps(rows))
    val = [_row(folder, f"val{i}", rng, visual=i % 2 == 1 and num_visual > 0) for i in range(num_val)]
    (folder / "val.json").write_text(json.dumps(val))
    return folder


def _row(folder: Path, row_id: str, rng: random.Random, visual: bool) -> dict[str, Any]:
    labels = rng.sample("abcdefgh", 8)
    entries = [(label, rng.randrange(10)) for label in labels]
    steps = rng.randint(1, 8)
    thought = "".join(f"{label}{value};{value}+{value}={2 * value % 10};" for label, value in entries[:steps])
    response = (
        f"<|begin_of_thought|>\n\n{thought}\n\n<|end_of_thought|>\n\n<|begin_of_solution|>\n\n"
        f"\\boxed{{{rng.randrange(10)}}}\n\n<|end_of_solution|>"
    )
    question = "+".join(labels[:steps]) + "=?"
    images = []
    if visual:
        image = Image.new("RGB", (28 * rng.randint(1, 4), 28 * rng.randint(1, 2)))
        image.putdata(
            [tuple(rng.randrange(256) for _ in range(3)) for _ in range(image.width * image.height)]
        )
        image.save(folder / "part.png")
        name = f"images/{hashlib.sha256((folder / 'part.png').read_bytes()).hexdigest()}.png"
        (folder / "part.png").rename(folder / name)
        images = [name]
        prompt = "<image>" + PREFIX + question
    else:
        prompt = PREFIX + "".join(f"{label.upper()}{value}" for label, value in entries) + "\n" + question
    return {
        "id": row_id,
        "messages": [{"role": "user", "content": prompt}, {"role": "assistant", "content": response}],
        "images": images,
    }
