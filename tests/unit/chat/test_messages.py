import base64
from pathlib import Path

import pytest

from spica.artifacts.types import Gold, Image, PromptRow
from spica.chat import build_messages, prompt_digest
from spica.errors import DataError
from spica.recipe.schema import Prompt

PROMPT = Prompt(system="You are a helpful assistant.", prefix="Please think.")
PNG = b"\x89PNG\r\n\x1a\n rest"
JPEG = b"\xff\xd8\xff\xe0 rest"


def row(*paths: str) -> PromptRow:
    images = tuple(Image(path=path, pixels="0") for path in paths)
    return PromptRow(
        id="geos-17",
        source="geos",
        question="c+h=?",
        images=images,
        gold=Gold(kind="number", value="7"),
        modality="visual",
    )


@pytest.fixture
def root(tmp_path: Path) -> Path:
    folder = tmp_path / "artifact"
    (folder / "images").mkdir(parents=True)
    (folder / "images" / "a.png").write_bytes(PNG)
    (folder / "images" / "b.jpg").write_bytes(JPEG)
    (folder / "images" / "c.gif").write_bytes(b"GIF89a")
    (tmp_path / "secret.png").write_bytes(PNG)
    (folder / "images" / "out.png").symlink_to(tmp_path / "secret.png")
    return folder


def test_a_text_question_is_prefix_newline_question(root: Path) -> None:
    assert build_messages(PROMPT, row(), root) == [
        {"role": "system", "content": "You are a helpful assistant."},
        {"role": "user", "content": "Please think.\nc+h=?"},
    ]


def test_pictures_come_before_the_prefix_in_order(root: Path) -> None:
    def url(mime: str, data: bytes) -> str:
        return f"data:image/{mime};base64,{base64.b64encode(data).decode()}"

    assert build_messages(PROMPT, row("images/a.png", "images/b.jpg"), root)[1]["content"] == [
        {"type": "image_url", "image_url": {"url": url("png", PNG)}},
        {"type": "image_url", "image_url": {"url": url("jpeg", JPEG)}},
        {"type": "text", "text": "Please think.\nc+h=?"},
    ]


def test_an_empty_system_text_sends_no_system_message(root: Path) -> None:
    messages = build_messages(Prompt(system="", prefix="Please think."), row(), root)
    assert [message["role"] for message in messages] == ["user"]


@pytest.mark.parametrize(
    ("path", "found"),
    [
        ("images/missing.png", "No such file or directory"),
        ("images/c.gif", "bytes that are no PNG or JPEG picture"),
        ("images/out.png", "a path that leads outside the artifact"),
    ],
)
def test_a_bad_picture_is_an_error_that_names_the_question(root: Path, path: str, found: str) -> None:
    with pytest.raises(DataError) as error:
        build_messages(PROMPT, row(path), root)
    assert error.value.faults[0].where == f"question geos-17, picture {path}"
    assert error.value.faults[0].found == found


def test_the_digest_changes_with_a_byte_of_text_or_picture(root: Path) -> None:
    before = {prompt_digest(build_messages(PROMPT, row(*paths), root)) for paths in ((), ("images/a.png",))}
    (root / "images" / "a.png").write_bytes(PNG + b".")
    after = prompt_digest(build_messages(PROMPT, row("images/a.png"), root))
    assert len(before | {after}) == 3


def test_without_a_prefix_the_question_stands_alone(tmp_path: Path) -> None:
    gold = Gold(kind="number", value="7")
    row = PromptRow(id="q", source="s", question="c+h=?", gold=gold, modality="text")

    assert build_messages(Prompt(system="", prefix=""), row, tmp_path) == [
        {"role": "user", "content": "c+h=?"}
    ]
