from collections.abc import Callable, Sequence

import pytest

from spica.errors import Fault
from spica.recipe.load import parse_recipe

FaultsOf = Callable[..., Sequence[Fault]]


def one(old: str, new: str, where: str, found: str, allowed: str, next: str) -> tuple[tuple[str, str], Fault]:
    return (old, new), Fault(f"r.yaml:{where}", found, allowed, next)


CASES = {
    "store-scheme": one(
        "file://store",
        "http://store",
        "4 store",
        "the text 'http://store'",
        "file://... or s3://...",
        "write a URI with one of these schemes",
    ),
    "store-bucket": one(
        "file://store",
        f"s3://{'b' * 70}/x",
        "4 store",
        f"a bucket of 70 characters, the text '{'b' * 57}...'",
        "s3://BUCKET/... with 3 to 63 small letters, digits, . and - as BUCKET",
        "write the bucket's name as S3 has it",
    ),
    "teacher-scheme": one(
        "http://host/v1",
        "host/v1",
        "7 models.teachers.r1.url",
        "the text 'host/v1'",
        "http://... or https://... or miniature://...",
        "write a URI with one of these schemes",
    ),
    "teacher-password": one(
        "http://host/v1",
        "http://me:hunter2@host/v1",
        "7 models.teachers.r1.url",
        "a URI with a user or password (not shown)",
        "http://... or https://... or miniature://... without credentials",
        "take it out; keys come from the environment (api_key_env, AWS_...)",
    ),
    "teacher-key-in-query": one(
        "http://host/v1",
        "http://host/v1?api-key=hunter2",
        "7 models.teachers.r1.url",
        "a URI with a query (not shown)",
        "http://... or https://... or miniature://... without a query, which may hold a key",
        "take it out; keys come from the environment (api_key_env, AWS_...)",
    ),
    "teacher-password-behind-a-wrong-scheme": one(
        "http://host/v1",
        "htp://me:hunter2@host/v1",
        "7 models.teachers.r1.url",
        "a URI with a user or password (not shown)",
        "http://... or https://... or miniature://... without credentials",
        "take it out; keys come from the environment (api_key_env, AWS_...)",
    ),
    "source-scheme": one(
        "file://u",
        "ftp://u",
        "12 sources.text[1].uri",
        "the text 'ftp://u'",
        "file://... or s3://... or hf://... or miniature://...",
        "write a URI with one of these schemes",
    ),
    "two-sources-of-one-name": one(
        "name: u,",
        "name: t,",
        "12 sources.text[1].name",
        "`t` 2 times",
        "each name once in a list",
        "give it another name",
    ),
    "no-source": one(
        '\n    - {name: v, uri: "s3://b/v", format: llava_onevision, num_rows: 40}',
        " []",
        "13 sources.visual",
        "an empty list",
        "at least one source",
        "add a source",
    ),
    "teacher-of-rows-without-responses": one(
        "format: questions, num_rows: 36",
        "format: questions, num_rows: 36, teacher: r1",
        "12 sources.text[1].teacher",
        "`r1` in format questions, whose rows bring no responses",
        "a teacher only in the formats sharegpt, long_form_thought",
        "delete it; whom to ask stands in `distill`",
    ),
    "benchmark-name": one(
        "{name: mmmu, ",
        "{name: mathverse, ",
        "18 sources.benchmarks[0].name",
        "benchmark `mathverse` in format mmmu",
        "the same name and format, one of mathverse, mathvision, olympiadbench, mmmu",
        "write the benchmark's name in both keys",
    ),
    "dev-named-as-a-benchmark": one(
        "{name: dev, ",
        "{name: mmmu, ",
        "16 sources.dev[0].name",
        "`mmmu`, a name of sources.benchmarks too",
        "a name of its own: benchmarks and dev become one artifact",
        "give it another name",
    ),
    "pixels": one(
        "min_pixels: 784",
        "min_pixels: 6273",
        "6 models.student.min_pixels",
        "6273",
        "<= max_pixels (6272)",
        "lower min_pixels or raise max_pixels",
    ),
    "warm-up-only": one(
        "warmup_ratio: 0.1",
        "warmup_ratio: 1.0",
        "35 sft.warmup_ratio",
        "1.0",
        "< 1.0",
        "leave steps to train after the warm-up",
    ),
    "fewer-rows-than-a-batch": one(
        "batch_size: 10",
        "batch_size: 38",
        "30 sft.batch_size",
        "38 samples per step, but 36 rows of sources.visual besides num_val",
        "at most as many samples as one epoch has rows",
        "lower sft.batch_size or dataset.num_val, or raise num_rows",
    ),
    "fewer-selected-rows-than-a-batch": one(
        "text: {num_rows: null",
        "text: {num_rows: 9",
        "25 dataset.text.num_rows",
        "9",
        ">= sft.batch_size (10): an epoch has at least one step",
        "raise it or lower sft.batch_size",
    ),
    "length-bin-the-wrong-way-round": one(
        "visual: {}",
        "visual: {length_bin: [400, 200]}",
        "26 dataset.visual.length_bin",
        "[400, 200]",
        "[more than, at most], the first below the second",
        "swap them",
    ),
    "length-bin-that-training-refuses": one(
        "visual: {}",
        "visual: {length_bin: [512, 600]}",
        "26 dataset.visual.length_bin",
        "responses of more than 512 tokens",
        "lengths below sft.cutoff_len (512): training refuses longer samples",
        "lower the bin or raise sft.cutoff_len",
    ),
    "unknown-text-teacher": one(
        "text: {teacher: r1",
        "text: {teacher: qwq",
        "20 distill.text.teacher",
        "unknown teacher `qwq`",
        "a name of models.teachers: r1",
        "name one of them, or add it to models.teachers",
    ),
    "unknown-visual-teacher": one(
        "visual: {teacher: M0",
        "visual: {teacher: qvq",
        "21 distill.visual.teacher",
        "unknown teacher `qvq`",
        "a name of models.teachers: r1, or M0",
        "name one of them, or add it to models.teachers",
    ),
    "m0-before-it-is-made": one(
        "text: {teacher: r1",
        "text: {teacher: M0",
        "20 distill.text.teacher",
        "M0, which is tuned on what distill.text makes",
        "a name of models.teachers: r1",
        "name one of them, or add it to models.teachers",
    ),
    "difficulty-of-text": one(
        "num_rollouts: 2,",
        "num_rollouts: 2, difficulty: hard,",
        "20 distill.text.difficulty",
        "hard for text questions",
        "random: table 6 splits visual questions only",
        "delete it, or move it to distill.visual",
    ),
    "difficulty-by-another-teacher": one(
        "{teacher: M0, num_rollouts: 5",
        "{teacher: r1, difficulty: medium, num_rollouts: 5",
        "21 distill.visual.difficulty",
        "medium with teacher r1",
        "random, or teacher M0: the split counts what M0 solves (table 6)",
        "set difficulty: random or teacher: M0",
    ),
    "difficulty-of-three": one(
        "num_rollouts: 5",
        "difficulty: hard, num_rollouts: 3",
        "21 distill.visual.num_rollouts",
        "3 with difficulty hard",
        "5: medium is 4 or 5 correct of 5, hard 2 or 3 (table 6)",
        "set num_rollouts: 5 or difficulty: random",
    ),
    "more-kept-than-drawn": one(
        "num_rollouts: 2,",
        "num_rollouts: 2, num_kept: 3,",
        "20 distill.text.num_kept",
        "3",
        "<= num_rollouts (2)",
        "lower num_kept or raise num_rollouts",
    ),
    "cancelled-with-several-kept": one(
        "num_rollouts: 5",
        "num_kept: 2, cancel_longer: true, num_rollouts: 5",
        "21 distill.visual.cancel_longer",
        "true with num_kept: 2, which needs every rollout's end",
        "false, or true with num_kept: 1",
        "set cancel_longer: false or num_kept: 1",
    ),
    "cancelled-with-a-split": one(
        "num_rollouts: 5",
        "difficulty: medium, cancel_longer: true, num_rollouts: 5",
        "21 distill.visual.cancel_longer",
        "true with difficulty: medium, which needs every rollout's end",
        "false, or true with difficulty: random",
        "set cancel_longer: false or difficulty: random",
    ),
    "judge-scheme": one(
        "evaluate: {prompts",
        "evaluate: {judge: {url: judge, model: m}, prompts",
        "40 evaluate.judge.url",
        "the text 'judge'",
        "http://... or https://...",
        "write a URI with one of these schemes",
    ),
    "more-ranks-than-samples": one(
        "ranks_per_node: 2",
        "ranks_per_node: 11",
        "48 profiles.laptop.ranks_per_node",
        "1 x 11 = 11 ranks",
        "a divisor of sft.batch_size (10): ranks share each step evenly",
        "use another number of ranks in this profile",
    ),
    "bf16-without-sharding": one(
        "precision: fp32",
        "precision: bf16",
        "51 profiles.laptop.zero_stage",
        "0 with precision bf16 (no fp32 master weights to save)",
        "1, 2 or 3 with bf16; 0 with fp32",
        "set zero_stage: 1",
    ),
    "local-nodes": one(
        "num_nodes: 1",
        "num_nodes: 5",
        "47 profiles.laptop.num_nodes",
        "5 nodes with launcher local",
        "1 node (local is this machine)",
        "set num_nodes: 1 or launcher: kubernetes",
    ),
    "tensor-parallel": one(
        "tensor_parallel: 1",
        "tensor_parallel: 4",
        "54 profiles.laptop.tensor_parallel",
        "4",
        "a divisor of ranks_per_node (2): a server stays on one node",
        "choose such a divisor",
    ),
    "servers": one(
        "num_servers: 1",
        "num_servers: 3",
        "55 profiles.laptop.num_servers",
        "3 servers x 1",
        "<= 2 in all (num_nodes x ranks_per_node)",
        "lower num_servers or tensor_parallel",
    ),
    "cutoff": one(
        "cutoff_len: 512",
        "cutoff_len: 513",
        "31 sft.cutoff_len",
        "513",
        "<= serve.max_model_len (512): the server must hold what was trained",
        "raise serve.max_model_len or lower cutoff_len",
    ),
    "rollout-length": one(
        "max_tokens: 17",
        "max_tokens: 512",
        "21 distill.visual.max_tokens",
        "512",
        "< serve.max_model_len (512): prompt and response share it",
        "lower max_tokens or raise serve.max_model_len",
    ),
    "answer-length": one(
        "max_tokens: 18",
        "max_tokens: 512",
        "40 evaluate.max_tokens",
        "512",
        "< serve.max_model_len (512): prompt and response share it",
        "lower max_tokens or raise serve.max_model_len",
    ),
    "penalties": one(
        "[1.05, 1.0]",
        "[1.05, 1.05]",
        "40 evaluate.repetition_penalties",
        "[1.05, 1.05]",
        "each value once",
        "delete the double value",
    ),
    "gate-arms": one(
        "over: base",
        "over: D_T",
        "42 gates[0].over",
        "D_T",
        "another arm than `model`",
        "compare two arms",
    ),
    "gate-of-an-arm-that-is-not-made": one(
        "over: base",
        "over: D_QVQ",
        "42 gates[0].over",
        "D_QVQ with distill.visual.teacher M0",
        "an arm of this recipe: base, control, D_T, D_SD, D_T+D_SD",
        "name one of them",
    ),
    "gate-of-an-arm-that-is-left-out": one(
        "gates:\n",
        "arms: [base, D_SD]\ngates:\n",
        "43 gates[0].model",
        "D_T, which `arms` leaves out",
        "base, D_SD",
        "add D_T to arms",
    ),
    "arm-of-another-teacher": one(
        "gates:\n",
        "arms: [base, D_T, D_QVQ]\ngates:\n",
        "41 arms[2]",
        "D_QVQ with distill.visual.teacher M0",
        "base, control, D_T, D_SD, D_T+D_SD",
        "name one of them, or another visual teacher",
    ),
    "arm-twice": one(
        "gates:\n",
        "arms: [base, D_T, D_T]\ngates:\n",
        "41 arms[2]",
        "D_T twice",
        "each arm once",
        "delete one of them",
    ),
    "arms-with-nothing-to-compare": one(
        "gates:\n  - {name: g, model: D_T, over: base, steps: [2, 6], min_gain: 0.4}",
        "arms: [base]\ngates: []",
        "41 arms",
        "[base]",
        "base and at least one more",
        "add what is to be compared",
    ),
    "gate-without-claim": one(
        ", min_gain: 0.4",
        "",
        "42 gates[0]",
        "neither min_gain nor max_gain",
        "at least one of them",
        "add min_gain or max_gain",
    ),
    "gate-gains": one(
        "min_gain: 0.4",
        "min_gain: 0.0, max_gain: -0.1",
        "42 gates[0].max_gain",
        "-0.1",
        ">= min_gain (0.0)",
        "swap them",
    ),
    "gate-benchmark": one(
        "over: base",
        "over: base, benchmark: mathvision",
        "42 gates[0].benchmark",
        "mathvision",
        "a name of sources.benchmarks: mmmu",
        "name one of them, or add the benchmark",
    ),
    "gate-steps": one(
        "steps: [2, 6]",
        "steps: [6, 2]",
        "42 gates[0].steps",
        "[6, 2]",
        "[first, last], 1 <= first <= last",
        "swap them",
    ),
}


@pytest.mark.parametrize(("change", "fault"), CASES.values(), ids=CASES.keys())
def test_a_rule_that_joins_values_is_told_in_four_parts(
    faults_of: FaultsOf, change: tuple[str, str], fault: Fault
) -> None:
    assert faults_of(change) == (fault,)


def test_the_rules_of_distillation_are_told_all_at_once(faults_of: FaultsOf) -> None:
    faults = faults_of(
        (
            "text: {teacher: r1, num_rollouts: 2",
            "text: {teacher: M0, difficulty: hard, num_kept: 3, num_rollouts: 2",
        ),
        (
            "visual: {teacher: M0, num_rollouts: 5",
            "visual: {teacher: r1, difficulty: hard, cancel_longer: true, num_rollouts: 4",
        ),
    )

    assert [fault.where.partition(" ")[2] for fault in faults] == [
        "distill.text.teacher",
        "distill.text.difficulty",
        "distill.text.num_kept",
        "distill.visual.difficulty",
        "distill.visual.num_rollouts",
        "distill.visual.cancel_longer",
    ]


def test_a_foreign_teachers_responses_may_be_longer_than_our_server_takes(recipe_text: str) -> None:
    parse_recipe(recipe_text.replace("max_tokens: 16", "max_tokens: 4096"), "r.yaml")


@pytest.mark.parametrize("format", ["sharegpt", "long_form_thought"])
def test_a_source_whose_rows_bring_responses_may_name_who_wrote_them(recipe_text: str, format: str) -> None:
    old = "format: questions, num_rows: 36"
    parse_recipe(recipe_text.replace(old, f"format: {format}, num_rows: 36, teacher: r1"), "r.yaml")


def test_keys_of_the_teachers_in_use_and_of_the_judge_need_a_secret_on_a_cluster(faults_of: FaultsOf) -> None:
    pods = "{queue: q, priority: p, node_pool: n, gpus: 0, cpus: 1, memory_gib: 1, shm_gib: 1, "
    cluster = (
        "launcher: kubernetes\n    store: s3://bucket/p\n    kubernetes:\n"
        f"      training: {pods}network: tcp, grace_s: 1, deadline_s: 1, max_crashes: 1}}\n"
        f"      serving: {pods}ready_timeout_s: 1}}\n"
        "      secrets: {storage: s}"
    )
    faults = faults_of(
        ("launcher: local", cluster),
        (
            "evaluate: {prompts",
            "evaluate: {judge: {url: 'http://j/v1', model: m, api_key_env: JUDGE_KEY}, prompts",
        ),
    )

    assert [(fault.where, fault.allowed) for fault in faults] == [
        ("r.yaml:51 profiles.laptop.kubernetes.secrets.teacher", "the name of a Secret with TEACHER_API_KEY"),
        ("r.yaml:51 profiles.laptop.kubernetes.secrets.judge", "the name of a Secret with JUDGE_KEY"),
    ]


def test_a_broken_section_does_not_silence_the_rules_of_the_others(faults_of: FaultsOf) -> None:
    faults = faults_of(("file://store", "ftp://store"), ("  epochs: 3", "  epochs: x"))

    assert [fault.where for fault in faults] == ["r.yaml:4 store", "r.yaml:29 sft.epochs"]


def test_zero_3_is_refused_where_the_vision_tower_or_the_merger_trains(faults_of: FaultsOf) -> None:
    assert faults_of(("freeze: llm_only", "freeze: llm+merger"), ("zero_stage: 0", "zero_stage: 3")) == (
        Fault(
            "r.yaml:51 profiles.laptop.zero_stage",
            "3 with sft.freeze: llm+merger (ranks without a picture would not join its gathers)",
            "3 with llm_only; 0, 1 or 2 with every freeze mode",
            "set zero_stage: 2 or sft.freeze: llm_only",
        ),
    )


def test_a_wrong_parameter_of_the_miniatures_student_is_found_before_anything_runs(
    faults_of: FaultsOf,
) -> None:
    assert faults_of(("path: folder", 'path: "miniature://base?size=small&steps=0"')) == (
        Fault(
            "r.yaml:6 models.student.path",
            "the text 'miniature://base?size=small&steps=0'",
            "parameter steps='0'; allowed is miniature://base, or with parameters, once each:"
            " size=small|large, seed=0..999999999, steps=1..999999",
            "correct the URI",
        ),
    )
