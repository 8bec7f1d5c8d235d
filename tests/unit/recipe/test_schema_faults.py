from collections.abc import Callable, Sequence

from spica.errors import Fault

FaultsOf = Callable[..., Sequence[Fault]]

SCALE_KEYS = (
    "scale keys: launcher, num_nodes, ranks_per_node, threads_per_rank, precision, zero_stage, pack_tokens, "
    "gradient_checkpointing, tensor_parallel, num_servers, concurrency, kv_cache_gib, request_timeout_s, "
    "max_attempts, kubernetes, store"
)


def test_a_mistyped_key_is_one_fault_with_the_key_that_was_meant(faults_of: FaultsOf) -> None:
    assert faults_of(("  batch_size: 10", "  batch_sise: 10")) == (
        Fault(
            "r.yaml:30 sft.batch_sise",
            "unknown key `batch_sise`",
            "keys here: freeze, epochs, batch_size, cutoff_len, learning_rate, schedule, min_lr_ratio, "
            "warmup_ratio, betas, eps, weight_decay, max_grad_norm",
            "did you mean `batch_size`?",
        ),
    )


def test_a_key_of_another_section_is_sent_there(faults_of: FaultsOf) -> None:
    assert faults_of(("  num_val: 4", "  num_val: 4\n  epochs: 3")) == (
        Fault(
            "r.yaml:24 dataset.epochs",
            "unknown key `epochs`",
            "keys here: num_val, max_bad_fraction, text, visual",
            "move it to `sft.epochs`",
        ),
    )


def test_a_key_that_nobody_knows_is_to_be_deleted(faults_of: FaultsOf) -> None:
    (fault,) = faults_of(("seed: 7", "seed: 7\nfrobnicate: sk-0123456789abcdef"))

    assert fault == Fault(
        "r.yaml:4 frobnicate",
        "unknown key `frobnicate`",
        "keys here: schema_version, name, seed, store, models, prompt, sources, distill, dataset, sft, "
        "evaluate, arms, gates, serve, profiles",
        "delete it",
    )


def test_a_profile_that_touches_science_is_told_what_a_profile_may_touch(faults_of: FaultsOf) -> None:
    assert faults_of(("    zero_stage: 0", "    zero_stage: 0\n    learning_rate: 1e-3")) == (
        Fault(
            "r.yaml:52 profiles.laptop.learning_rate",
            "`learning_rate` in a profile; a profile may touch scale only",
            SCALE_KEYS,
            "delete it here; `sft.learning_rate` holds for every profile",
        ),
    )


def test_a_profile_that_holds_a_science_section_is_told_the_same(faults_of: FaultsOf) -> None:
    (fault,) = faults_of(("    zero_stage: 0", "    zero_stage: 0\n    sft: {epochs: 1}"))

    assert fault.found == "`sft` in a profile; a profile may touch scale only"


def test_a_mistyped_scale_key_is_no_science(faults_of: FaultsOf) -> None:
    (fault,) = faults_of(("    num_nodes: 1", "    num_node: 1"))

    assert (fault.found, fault.next) == ("unknown key `num_node`", "did you mean `num_nodes`?")


def test_an_unknown_profile_lists_the_profiles(faults_of: FaultsOf) -> None:
    assert faults_of(("  laptop:", "  labtop:")) == (
        Fault(
            "r.yaml:45 profiles.labtop",
            "unknown profile `labtop`",
            "laptop, node8, cluster2, cluster64",
            "write `laptop`",
        ),
    )


def test_m0_is_a_reserved_name(faults_of: FaultsOf) -> None:
    (fault,) = faults_of(("teachers: {r1:", "teachers: {M0: {url: http://h/v1, model: m}, r1:"))

    assert fault == Fault(
        "r.yaml:7 models.teachers.M0",
        "the reserved name `M0`",
        "a name of your own",
        "M0 is made by the pipeline: delete this entry",
    )


def test_a_teachers_name_that_is_none_is_told_the_pattern(faults_of: FaultsOf) -> None:
    (fault,) = faults_of(("teachers: {r1:", "teachers: {R1 Lite: {url: http://h/v1, model: m}, r1:"))

    assert (fault.found, fault.allowed) == (
        "the name the text 'R1 Lite'",
        "a name that matches ^[a-z0-9][a-z0-9.-]{0,40}$",
    )


def test_a_name_too_long_for_kubernetes_is_told_how_long_it_may_be(faults_of: FaultsOf) -> None:
    cluster = f"launcher: local\n    kubernetes: {{step_node_pool: {'p' * 70}}}"
    fault = next(item for item in faults_of(("launcher: local", cluster)) if "step_node_pool" in item.where)

    assert fault.allowed.startswith(
        "text that matches ^[a-z0-9]([-a-z0-9]*[a-z0-9])?$, 63 characters at most"
    )


def test_a_mistyped_key_of_a_teacher_is_one_fault(faults_of: FaultsOf) -> None:
    (fault,) = faults_of(("model: m, api", "modle: m, api"))

    assert (fault.where, fault.next) == ("r.yaml:7 models.teachers.r1.modle", "did you mean `model`?")


def test_a_missing_key_is_placed_at_its_section(faults_of: FaultsOf) -> None:
    assert faults_of(("  epochs: 3\n", "")) == (
        Fault("r.yaml:27 sft.epochs", "nothing", "a whole number >= 1", "add `epochs` below line 27"),
    )


def test_a_missing_section_lists_its_keys(faults_of: FaultsOf) -> None:
    (fault,) = faults_of(("prompt: {system: s, prefix: p}\n", ""))

    assert fault == Fault(
        "r.yaml:1 prompt", "nothing", "a section with the keys system, prefix", "add `prompt` below line 1"
    )


def test_text_is_no_number(faults_of: FaultsOf) -> None:
    assert faults_of(("  batch_size: 10", "  batch_size: '10'")) == (
        Fault(
            "r.yaml:30 sft.batch_size",
            "the text '10'",
            "a whole number >= 1 (Samples per optimizer step, exactly, over all ranks)",
            "correct line 30, then `spica check`",
        ),
    )


def test_true_is_no_number(faults_of: FaultsOf) -> None:
    (fault,) = faults_of(("  epochs: 3", "  epochs: true"))

    assert (fault.found, fault.allowed) == ("true", "a whole number >= 1")


def test_a_number_out_of_range_is_told_the_range(faults_of: FaultsOf) -> None:
    (fault,) = faults_of(("  warmup_ratio: 0.1", "  warmup_ratio: 1.5"))

    assert (fault.where, fault.found) == ("r.yaml:35 sft.warmup_ratio", "1.5")
    assert fault.allowed == "a number >= 0 and <= 1"


def test_an_infinite_number_is_refused(faults_of: FaultsOf) -> None:
    (fault,) = faults_of(("  learning_rate: 7e-6", "  learning_rate: 1e999"))

    assert (fault.found, fault.allowed) == ("inf", "a number > 0")


def test_a_choice_lists_the_choices(faults_of: FaultsOf) -> None:
    (fault,) = faults_of(("  schedule: cosine", "  schedule: cosin"))

    assert (fault.found, fault.allowed) == ("the text 'cosin'", "one of cosine, linear")


def test_an_item_of_a_list_is_named_by_its_index(faults_of: FaultsOf) -> None:
    (fault,) = faults_of(("  betas: [0.9, 0.999]", "  betas: [0.9, 1.0]"))

    assert (fault.where, fault.found) == ("r.yaml:36 sft.betas[1]", "1.0")
    assert fault.allowed == "a number >= 0 and < 1"


def test_a_list_where_a_section_belongs_is_refused(faults_of: FaultsOf) -> None:
    (fault,) = faults_of(("prompt: {system: s, prefix: p}", "prompt: [s, p]"))

    assert (fault.found, fault.allowed) == ("a list of 2", "a section with the keys system, prefix")


def test_a_schema_version_of_the_future_is_refused(faults_of: FaultsOf) -> None:
    (fault,) = faults_of(("schema_version: 1", "schema_version: 2"))

    assert (fault.where, fault.found, fault.allowed) == ("r.yaml:1 schema_version", "2", "1")


def test_a_key_in_place_of_its_variable_is_refused_and_never_shown(faults_of: FaultsOf) -> None:
    secret = "sk-proj-4f1dc0ffee4f1dc0ffee"
    (fault,) = faults_of(("TEACHER_API_KEY", secret))

    assert fault == Fault(
        "r.yaml:7 models.teachers.r1.api_key_env",
        "a value that is no variable name (not shown)",
        "the NAME of an environment variable, such as TEACHER_API_KEY",
        "write the variable's name here, keep the key in the environment; revoke a key that was shared",
    )


def test_a_key_in_a_wrong_place_is_not_shown_either(faults_of: FaultsOf) -> None:
    (fault,) = faults_of(("  schedule: cosine", "  schedule: sk-proj-4f1dc0ffee4f1dc0ffee"))

    assert fault.found == "what looks like a secret (not shown)"


def test_all_faults_come_at_once_in_the_order_of_the_file(faults_of: FaultsOf) -> None:
    faults = faults_of(
        ("seed: 7", "seed: -1"),
        ("  epochs: 3", "  epochs: 0"),
        ("max_model_len: 512, max_tokens: 19", "max_model_len: 19, max_tokens: 19"),
        ("    precision: fp32", "    precision: fp8\n    precision: bf16"),
    )

    assert [fault.where for fault in faults] == [
        "r.yaml:3 seed",
        "r.yaml:29 sft.epochs",
        "r.yaml:43 serve.max_tokens",
        "r.yaml:50 profiles.laptop.precision",
        "r.yaml:51 profiles.laptop.precision",
    ]
