import json
from pathlib import Path

from spica.sources.student import set_pixel_budget


def test_the_recipes_picture_sizes_replace_those_of_a_published_checkpoint(tmp_path: Path) -> None:
    path = tmp_path / "preprocessor_config.json"
    path.write_text(json.dumps({"min_pixels": 3136, "max_pixels": 12845056, "patch_size": 14}))
    set_pixel_budget(tmp_path, 784, 262144)
    assert json.loads(path.read_text()) == {
        "min_pixels": 784,
        "max_pixels": 262144,
        "patch_size": 14,
        "size": {"shortest_edge": 784, "longest_edge": 262144},
    }


def test_the_nested_image_processor_of_transformers_5_is_set(tmp_path: Path) -> None:
    path = tmp_path / "processor_config.json"
    path.write_text(json.dumps({"image_processor": {"size": {"shortest_edge": 1, "longest_edge": 2}}}))
    set_pixel_budget(tmp_path, 784, 6272)
    found = json.loads(path.read_text())["image_processor"]["size"]
    assert found == {"shortest_edge": 784, "longest_edge": 6272}
