import hashlib
import io
import json
import struct
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from tokenizers import Tokenizer, models, pre_tokenizers

from spica.artifacts.manifest import Artifact, Execution, Manifest
from spica.artifacts.responses import Response
from spica.artifacts.rows import write_jsonl
from spica.artifacts.types import Gold, Kind, PromptRow, Rollout
from spica.artifacts.types import Image as Picture
from spica.artifacts.workspace import Workspace
from spica.dataset.run import run
from spica.errors import DataError
from spica.recipe.slices import DatasetSlice

THOUGHT = (
    "<|begin_of_thought|>\n\nc4;+h9;4+9=3;\n\n<|end_of_thought|>\n\n"
    "<|begin_of_solution|>\n\n\\boxed{3}\n\n<|end_of_solution|>"
)


def png(colour: int = 0, size: tuple[int, int] = (28, 28)) -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", size, (colour, 0, 0)).save(buffer, "PNG")
    return buffer.getvalue()


def huge_png() -> bytes:
    """A header that promises 5000 x 5000 pixels; nothing behind it must be decoded."""

    def chunk(name: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    header = struct.pack(">IIBBBBB", 5000, 5000, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", b"")


def prompt(id: str, question: str = "c+h=?", *pictures: str, **changes: Any) -> PromptRow:
    images = tuple(Picture(path=f"images/{name}.png", pixels=f"pixels of {name}") for name in pictures)
    row = {
        "id": id,
        "source": "geos",
        "question": question,
        "images": images,
        "gold": Gold(kind="number", value="3"),
        "modality": "visual" if pictures else "text",
        "num_steps": 2,
        "origin": "GEOS(MathV360K)",
        "license": "CC0-1.0",
        "meta": {"domain": "geometry"},
    }
    return PromptRow.model_validate(row | changes)


def rollout(id: str, **changes: Any) -> Rollout:
    row = {
        "id": id,
        "index": 1,
        "teacher": "qvq",
        "prompt_digest": "9a",
        "temperature": 0.7,
        "top_p": 0.95,
        "max_tokens": 512,
        "seed": 11,
        "response": THOUGHT,
        "finish_reason": "stop",
        "num_tokens": 20,
        "verdict": "correct",
    }
    return Rollout.model_validate(row | changes)


class Inputs:
    """Input artifacts as folders; rows are added before the stage runs."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.prompts: list[PromptRow] = []
        self.kept: list[Rollout] = []
        self.rejected: list[Rollout] = []
        self.benchmarks: list[PromptRow] = []
        self.dev: list[PromptRow] = []
        for artifact in ("prompts", "held-out"):
            (folder / artifact / "images").mkdir(parents=True)

    def add(self, row: PromptRow, kept: Rollout | None = None) -> None:
        self.prompts.append(row)
        self.kept.append(kept or rollout(row.id))

    def picture(self, name: str, data: bytes) -> None:
        for artifact in ("prompts", "held-out"):
            (self.folder / artifact / "images" / f"{name}.png").write_bytes(data)

    def write(self) -> Mapping[str, Artifact]:
        files = {
            "prompts": ("prompts.jsonl", self.prompts),
            "rollouts": ("kept.jsonl", self.kept),
            "held-out": ("prompts.jsonl", self.benchmarks),
        }
        for name, (file, rows) in files.items():
            (self.folder / name).mkdir(exist_ok=True)
            write_jsonl(self.folder / name / file, rows)
        write_jsonl(self.folder / "held-out" / "dev.jsonl", self.dev)
        write_jsonl(self.folder / "rollouts" / "rollouts.jsonl", [*self.kept, *self.rejected])
        verdicts = {"correct": len(self.kept), "malformed": 2, "refused": 1}
        rates = self.folder / "rollouts" / "pass_rates.json"
        rates.write_text(json.dumps({"verdicts": verdicts}), encoding="utf-8")
        return {
            name: Artifact(manifest("prompts", {}), "", lambda _, path=self.folder / name: path)
            for name in (*files, "student")
        }


class NoLauncher:
    """Must not be asked."""

    def train(self, job: Any) -> Any:
        raise NotImplementedError

    def serve(self, server: Any) -> Any:
        raise NotImplementedError


def manifest(kind: Kind, metrics: Mapping[str, Any]) -> Manifest:
    execution = Execution(started="", wall_s=0, cpu_s=0, tokens=0, host="", version="0")
    return Manifest(
        kind=kind,
        task="dataset-d_t",
        key="0" * 64,
        slice={},
        inputs={},
        code="",
        seed=0,
        files=(),
        metrics=dict(metrics),
        digest="",
        execution=execution,
    )


def stage(
    response: str = "thought", num_val: int = 0, max_bad_fraction: float = 1.0, **selection: Any
) -> DatasetSlice:
    return DatasetSlice.model_validate(
        {
            "seed": 7,
            "prompt": {"system": "You are a helpful assistant.", "prefix": "Please think."},
            "dataset": {"num_val": num_val, "max_bad_fraction": max_bad_fraction},
            "selection": selection,
            "response": response,
        }
    )


class Output:
    """What the stage wrote."""

    def __init__(self, slice: DatasetSlice, inputs: Mapping[str, Artifact], folder: Path) -> None:
        self.path = folder / "files"
        self.path.mkdir(parents=True)
        workspace = Workspace(self.path, folder, lambda out, kind, metrics, tokens: manifest(kind, metrics))
        self.metrics = run(slice, inputs, workspace, NoLauncher()).metrics
        self.train = self.json("train.json")
        self.val = self.json("val.json")
        self.card = self.json("card.json")
        lines = (self.path / "quarantine.jsonl").read_text().splitlines()
        bad = [json.loads(line) for line in lines]
        self.quarantine = [f"{one['file']}:{one['line']}: {one['reason']}" for one in bad]

    def json(self, name: str) -> Any:
        return json.loads((self.path / name).read_text())


@pytest.fixture
def inputs(tmp_path: Path) -> Inputs:
    return Inputs(tmp_path / "inputs")


def test_a_row_has_the_schema_of_the_paper(inputs: Inputs, tmp_path: Path) -> None:
    inputs.picture("a", png())
    inputs.add(prompt("geos-17", "c+h=?", "a"))
    out = Output(stage(), inputs.write(), tmp_path / "out")
    assert out.train == [
        {
            "id": "geos-17",
            "messages": [
                {"role": "system", "content": "You are a helpful assistant."},
                {"role": "user", "content": "<image>Please think.\nc+h=?"},
                {"role": "assistant", "content": THOUGHT},
            ],
            "images": ["images/a.png"],
            "source": "geos",
            "origin": "GEOS(MathV360K)",
            "license": "CC0-1.0",
            "domain": "geometry",
            "num_steps": 2,
            "gold": "3",
            "pass_rate": "1/1",
            "teacher": "qvq",
            "prompt_digest": "9a",
            "temperature": 0.7,
            "top_p": 0.95,
            "max_tokens": 512,
            "seed": 11,
            "verdict": "correct",
            "num_tokens": 20,
            "rollout_index": 1,
        }
    ]
    assert out.val == []
    assert (out.path / "images" / "a.png").read_bytes() == png()


def test_a_row_of_the_control_arm_answers_with_the_box_alone(inputs: Inputs, tmp_path: Path) -> None:
    inputs.add(prompt("q0"))
    out = Output(stage("answer"), inputs.write(), tmp_path / "out")
    assert out.train == [
        {
            "id": "q0",
            "messages": [
                {"role": "system", "content": "You are a helpful assistant."},
                {"role": "user", "content": "Please think.\nc+h=?"},
                {"role": "assistant", "content": r"\boxed{3}"},
            ],
            "images": [],
            "source": "geos",
            "origin": "GEOS(MathV360K)",
            "license": "CC0-1.0",
            "domain": "geometry",
            "num_steps": 2,
            "gold": "3",
            "pass_rate": "1/1",
            "teacher": "gold",
            "prompt_digest": "9a",
        }
    ]


def test_two_pictures_have_two_placeholders(inputs: Inputs, tmp_path: Path) -> None:
    inputs.picture("a", png(1))
    inputs.picture("b", png(2))
    inputs.add(prompt("q0", "c+h=?", "a", "b"))
    out = Output(stage(), inputs.write(), tmp_path / "out")
    assert out.train[0]["messages"][1]["content"] == "<image><image>Please think.\nc+h=?"
    assert out.train[0]["images"] == ["images/a.png", "images/b.png"]


def test_dataset_info_is_llama_factorys(inputs: Inputs, tmp_path: Path) -> None:
    inputs.add(prompt("q0"))
    info = Output(stage(), inputs.write(), tmp_path / "out").json("dataset_info.json")
    assert info["train"] == {
        "file_name": "train.json",
        "formatting": "sharegpt",
        "columns": {"messages": "messages", "images": "images"},
        "tags": {
            "role_tag": "role",
            "content_tag": "content",
            "user_tag": "user",
            "assistant_tag": "assistant",
            "system_tag": "system",
        },
    }
    assert info["val"]["file_name"] == "val.json"


def test_the_split_takes_the_first_hashes_and_is_the_same_for_thoughts_and_answers(
    inputs: Inputs, tmp_path: Path
) -> None:
    for number in range(20):
        inputs.add(prompt(f"q{number}", f"question {number}"))
    written = inputs.write()
    out = [Output(stage(r, num_val=5), written, tmp_path / r) for r in ("thought", "answer")]
    by_hash = sorted((hashlib.sha256(f"7/q{i}".encode()).hexdigest(), f"q{i}") for i in range(20))
    for one in out:
        assert {row["id"] for row in one.val} == {id for _, id in by_hash[:5]}
        assert len(one.train) == 15
        assert not {row["id"] for row in one.val} & {row["id"] for row in one.train}


def test_a_question_with_equal_words_and_pixels_is_a_duplicate(inputs: Inputs, tmp_path: Path) -> None:
    for name in ("a", "b"):
        inputs.picture(name, png())
    inputs.add(prompt("q0", "C4\nc=?"))
    inputs.add(prompt("q1", "C4 \n c=?"))
    inputs.add(prompt("q2", "c=?", "a"))
    inputs.add(prompt("q3", "c=?", "b"))
    out = Output(stage(), inputs.write(), tmp_path / "out")
    assert [row["id"] for row in out.train] == ["q0", "q2", "q3"]
    assert out.card["refused"]["duplicates"] == {
        "num": 1,
        "reason": "same question and pixels as another row",
        "examples": [{"id": "q1", "other": "q0"}],
    }


def test_what_a_benchmark_or_dev_asks_is_taken_out(inputs: Inputs, tmp_path: Path) -> None:
    inputs.picture("a", png())
    inputs.add(prompt("q0", "C4\nc=?"))
    inputs.add(prompt("q1", "c=?", "a"))
    inputs.add(prompt("q2", "h=?", "a"))
    inputs.benchmarks.append(prompt("m-1", "C4 c=?", source="mathverse"))
    inputs.dev.append(prompt("d-1", "c=?", "a", source="dev"))
    out = Output(stage(), inputs.write(), tmp_path / "out")
    assert [row["id"] for row in out.train] == ["q2"]
    assert out.card["refused"]["contaminated"]["examples"] == [
        {"id": "q0", "other": "mathverse/m-1"},
        {"id": "q1", "other": "dev/d-1"},
    ]


def test_bad_rows_are_quarantined_with_file_line_and_reason(inputs: Inputs, tmp_path: Path) -> None:
    inputs.picture("torn", png()[:-30])
    inputs.picture("gif", b"GIF89a rest")
    inputs.picture("huge", huge_png())
    inputs.add(prompt("good"))
    inputs.add(prompt("count", "<image> c=?"))
    inputs.add(prompt("said", "d=?"), rollout("said", response="an <image> of \\boxed{3}"))
    inputs.add(prompt("turn", "e=?"), rollout("turn", response="\\boxed{3}<|im_end|>\n<|im_start|>user"))
    inputs.add(prompt("asked", "<|im_end|> f=?"))
    inputs.add(prompt("torn", "c=?", "torn"))
    inputs.add(prompt("gif", "c=?", "gif"))
    inputs.add(prompt("huge", "c=?", "huge"))
    inputs.add(prompt("none", "c=?", "none"))
    inputs.add(prompt("wrong", "g=?"), rollout("wrong", verdict="wrong"))
    inputs.kept.append(rollout("nobody"))
    out = Output(stage(), inputs.write(), tmp_path / "out")
    assert [row["id"] for row in out.train] == ["good"]
    assert out.quarantine == [
        "kept.jsonl:2: count: 1 <image> for 0 pictures",
        "kept.jsonl:3: said: 1 <image> for 0 pictures",
        "kept.jsonl:4: turn: marker <|im_end|> in the response",
        "kept.jsonl:5: asked: marker <|im_end|> in the question",
        "kept.jsonl:6: torn: picture images/torn.png does not decode (OSError)",
        "kept.jsonl:7: gif: picture images/gif.png is no PNG or JPEG file",
        "kept.jsonl:8: huge: picture images/huge.png has 5000 x 5000 pixels, more than 16000000",
        "kept.jsonl:9: none: picture images/none.png is missing",
        "kept.jsonl:10: wrong: a kept rollout with verdict wrong",
        "kept.jsonl:11: nobody: no question has this id",
    ]
    assert not list(out.path.glob("images/*"))


def test_malformed_and_torn_lines_are_quarantined(inputs: Inputs, tmp_path: Path) -> None:
    inputs.add(prompt("q0"))
    inputs.add(prompt("q1", "d=?"))
    written = inputs.write()
    kept = inputs.folder / "rollouts" / "kept.jsonl"
    first, second = kept.read_text().splitlines()
    kept.write_text(f"{first}\n\n{{]\n{second}\n{first[:40]}")
    out = Output(stage(), written, tmp_path / "out")
    assert [row["id"] for row in out.train] == ["q0", "q1"]
    assert [line.split(" ")[0] for line in out.quarantine] == ["kept.jsonl:3:", "kept.jsonl:5:"]
    assert out.quarantine[1] == "kept.jsonl:5: torn: the file ends in the middle of this line"


def test_too_many_bad_rows_stop_the_stage(inputs: Inputs, tmp_path: Path) -> None:
    for number in range(9):
        inputs.add(prompt(f"q{number}", f"question {number}"))
    inputs.add(prompt("bad", "<image>"))
    written = inputs.write()
    assert len(Output(stage(max_bad_fraction=0.1), written, tmp_path / "a").train) == 9
    with pytest.raises(DataError) as error:
        Output(stage(max_bad_fraction=0.09), written, tmp_path / "b")
    assert error.value.faults[0].found == (
        "1 broken rows (10.0%), the first: kept.jsonl:10: bad: 1 <image> for 0 pictures"
    )


def test_fewer_rows_than_are_held_out_stop_the_stage(inputs: Inputs, tmp_path: Path) -> None:
    inputs.add(prompt("q0"))
    with pytest.raises(DataError, match="1 usable rows"):
        Output(stage(num_val=1), inputs.write(), tmp_path / "out")


def test_the_card_counts_sources_steps_and_lengths(inputs: Inputs, tmp_path: Path) -> None:
    inputs.add(prompt("q0", "1"), rollout("q0", num_tokens=16))
    inputs.add(prompt("q1", "2", num_steps=5), rollout("q1", num_tokens=17))
    inputs.add(prompt("q2", "3", num_steps=None, source="clevr", license=""), rollout("q2", num_tokens=2500))
    inputs.rejected += [rollout("q1", index=2, verdict="wrong")]
    inputs.rejected += [rollout("q2", index=i, verdict="wrong") for i in (2, 3)]
    inputs.prompts.append(prompt("unsolved", "4"))
    out = Output(stage(num_val=1), inputs.write(), tmp_path / "out")
    assert out.card == {
        "response": "thought",
        "num_rows": 3,
        "num_val": 1,
        "num_with_pictures": 0,
        "num_by_domain": {"geometry": 3},
        "num_by_source": {"clevr": 1, "geos": 2},
        "num_by_teacher": {"qvq": 3},
        "num_by_license": {"CC0-1.0": 2, "none": 1},
        "num_by_pass_rate": {"1/1": 1, "1/2": 1, "1/3": 1},
        "num_by_num_steps": {"2": 1, "5": 1, "none": 1},
        "num_by_length_bin": {"(0,2000]": 2, "(2000,4000]": 1},
        "response_length": {
            "unit": "tokens",
            "min": 16,
            "mean": 844.3,
            "max": 2500,
            "histogram": {"1-16": 1, "17-32": 1, "2049-4096": 1},
        },
        "refused": {
            "unsolved": {"num": 1, "reason": "no rollout was kept"},
            "rollouts": {"num": 3, "reasons": {"malformed": 2, "refused": 1}},
            "quarantined": {"num": 0, "reasons": {}},
            "duplicates": {"num": 0, "reason": "same question and pixels as another row", "examples": []},
            "contaminated": {
                "num": 0,
                "reason": "asked by a benchmark or dev; see contamination.json",
                "examples": [],
            },
            "near_hits": {"num": 0, "reason": "kept; see contamination.json"},
            "other_length": {"num": 0, "reason": "outside of length_bin"},
            "not_drawn": {"num": 0, "reason": "more than num_rows"},
        },
    }
    assert out.metrics == {
        "num_train": 2,
        "num_val": 1,
        "num_quarantined": 0,
        "num_duplicates": 0,
        "num_contaminated": 0,
        "num_near_hits": 0,
    }


def test_several_trajectories_of_a_question_have_ids_of_their_own_and_are_held_out_together(
    inputs: Inputs, tmp_path: Path
) -> None:
    for number in range(6):
        inputs.add(prompt(f"q{number}", f"question {number}"), rollout(f"q{number}", index=0))
        inputs.kept.append(rollout(f"q{number}", index=2, num_tokens=30))
    inputs.kept.append(rollout("q1", index=2))
    out = Output(stage(num_val=3), inputs.write(), tmp_path / "out")
    ids = {row["id"] for row in (*out.train, *out.val)}
    assert ids == {f"q{number}#{index}" for number in range(6) for index in (0, 2)}
    assert len(out.val) == 4  # whole questions, so one row more than asked for
    assert not {row["id"][:2] for row in out.train} & {row["id"][:2] for row in out.val}
    assert out.quarantine == ["kept.jsonl:13: q1: a second row of rollout 2"]


def test_rows_are_drawn_by_seed_after_those_of_val_are_held_out(inputs: Inputs, tmp_path: Path) -> None:
    for number in range(20):
        inputs.add(prompt(f"q{number}", f"question {number}"))
    written = inputs.write()
    few = Output(stage(num_val=3, num_rows=5), written, tmp_path / "few")
    more = Output(stage(num_val=3, num_rows=10), written, tmp_path / "more")
    assert few.val == more.val
    assert len(few.train) == 5
    assert {row["id"] for row in few.train} < {row["id"] for row in more.train}
    assert few.card["refused"]["not_drawn"]["num"] == 12
    control = Output(stage("answer", num_val=3, num_rows=5), written, tmp_path / "control")
    assert [row["id"] for row in control.train] == [row["id"] for row in few.train]


def test_holding_out_more_than_is_trained_on_is_told(
    inputs: Inputs, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    for number in range(3):
        inputs.add(prompt(f"q{number}", f"question {number}"))
    Output(stage(num_val=2), inputs.write(), tmp_path / "out")
    assert caplog.messages == ["num_val 2 holds out 2 rows and leaves 1 to train on"]


def save_tokenizer(folder: Path) -> None:
    """What white space separates is one token."""
    tokenizer = Tokenizer(models.WordLevel({"[UNK]": 0}, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    folder.mkdir()
    tokenizer.save(str(folder / "tokenizer.json"))


def test_ready_made_responses_are_counted_by_the_students_tokenizer_and_have_no_pass_rate(
    inputs: Inputs, tmp_path: Path
) -> None:
    save_tokenizer(inputs.folder / "student")
    inputs.add(prompt("q0", "1"), rollout("q0", num_tokens=0))  # THOUGHT is six words
    inputs.add(prompt("q1", "2"), rollout("q1", num_tokens=2500))
    written = inputs.write()
    write_jsonl(
        inputs.folder / "prompts/responses.jsonl", [Response(id="q0", teacher="r1", response=THOUGHT)]
    )
    out = Output(stage(), written, tmp_path / "out")
    assert [(row["num_tokens"], row["pass_rate"]) for row in out.train] == [(6, ""), (6, "1/1")]
    assert out.card["num_by_pass_rate"] == {"1/1": 1, "none": 1}
    assert out.card["num_by_length_bin"] == {"(0,2000]": 2}
    assert out.card["response_length"]["unit"] == "tokens of the student's tokenizer"


@pytest.mark.parametrize("content", [None, "{}", "[", "{}\xff"])
def test_a_student_without_a_tokenizer_that_can_be_read_is_told(
    inputs: Inputs, tmp_path: Path, content: str | None
) -> None:
    (inputs.folder / "student").mkdir()
    if content is not None:
        (inputs.folder / "student/tokenizer.json").write_bytes(content.encode("latin-1"))
    inputs.add(prompt("q0"))
    with pytest.raises(DataError, match=r"tokenizer\.json\n  found: .*\n  allowed: a tokenizer"):
        Output(stage(length_bin=(4, 6)), inputs.write(), tmp_path / "out")


def test_a_length_bin_leaves_out_its_lower_bound_and_holds_its_upper_one_by_the_students_tokenizer(
    inputs: Inputs, tmp_path: Path
) -> None:
    save_tokenizer(inputs.folder / "student")
    for num_words in (4, 5, 6, 7):
        thought = "<|begin_of_thought|> " + "x " * (num_words - 1)
        inputs.add(
            prompt(f"q{num_words}", f"{num_words}?"), rollout(f"q{num_words}", response=thought.strip())
        )
    written = inputs.write()
    out = Output(stage(length_bin=(4, 6)), written, tmp_path / "out")
    assert [(row["id"], row["num_tokens"]) for row in out.train] == [("q5", 5), ("q6", 6)]
    assert out.card["response_length"]["unit"] == "tokens of the student's tokenizer"
    assert out.card["refused"]["other_length"]["num"] == 2
    control = Output(stage("answer", length_bin=(4, 6)), written, tmp_path / "control")
    assert [row["id"] for row in control.train] == ["q5", "q6"]
    with pytest.raises(DataError, match="0 usable rows of 100 to 200 tokens"):
        Output(stage(length_bin=(100, 200)), written, tmp_path / "none")


def test_what_is_near_a_test_row_is_written_down(inputs: Inputs, tmp_path: Path) -> None:
    text = "A train leaves at noon and runs 60 miles an hour; when is it in Rome"
    inputs.add(prompt("q0", text.replace("noon", "nine")))
    inputs.add(prompt("q1", "Something else"))
    inputs.benchmarks.append(prompt("m-1", text, source="mathverse"))
    out = Output(stage(), inputs.write(), tmp_path / "out")
    found = out.json("contamination.json")
    assert [row["id"] for row in out.train] == ["q1"]
    assert (found["num_training_rows"], found["num_test_rows"], found["num_hits"]) == (2, 1, 1)
    assert found["hits"] == [
        {"id": "q0", "other": "mathverse/m-1", "by": "words", "overlap": 0.938, "correlation": None}
    ]
