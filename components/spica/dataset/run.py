"""The stage: kept rollouts in, training rows in the paper's file schema out.

train.json, val.json   arrays of ChatRow      dataset_info.json   LLaMA-Factory's description of both
images/                the pictures of both   card.json           what is in it and what is not
quarantine.jsonl       rows put aside, file:line: reason
contamination.json     rows that a benchmark or dev asks, too, and those that come near
"""

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

from spica.artifacts.manifest import Artifact, Manifest
from spica.artifacts.responses import read_responses
from spica.artifacts.rows import MAX_FAULTS_SHOWN, parse_lines, read_jsonl, write_jsonl
from spica.artifacts.types import ChatRow, PromptRow, Rollout
from spica.artifacts.workspace import Workspace
from spica.dataset.card import contents, refused
from spica.dataset.clean import Cleaned, bad_fraction, clean
from spica.dataset.rows import Sample, chat_row
from spica.dataset.select import select, token_lengths
from spica.dataset.write import write_json, write_set
from spica.errors import DataError, Fault
from spica.launch.contract import Launcher
from spica.recipe.slices import DatasetSlice


def run(slice: DatasetSlice, inputs: Mapping[str, Artifact], out: Workspace, launcher: Launcher) -> Manifest:
    """Cleans, selects, splits and writes the rows; both draws depend on seed and ids alone.

    Args:
        slice: Prompt, limits, selection, and whether to train on thoughts or on bare answers.
        inputs: `prompts`, `rollouts`, `held-out`, against which rows are checked, and `student`, by whose
            tokenizer responses are measured for a length bin, or where some came with their questions and
            nobody counted them (its files are asked for only then).
        out: Where the data set goes.
        launcher: Not used.

    Raises:
        DataError: More rows are broken than may be, or fewer are left than val.json is to hold.
    """
    prompts, rollouts, held_out = (inputs[name].path for name in ("prompts", "rollouts", "held-out"))
    tests = [row for name in ("prompts.jsonl", "dev.jsonl") for row in read_jsonl(held_out / name, PromptRow)]
    cleaned = clean(prompts, rollouts, tests, held_out)
    _check_broken(slice, cleaned, rollouts)
    lengths = None
    if slice.selection.length_bin is not None or (slice.response == "thought" and _uncounted(cleaned)):
        lengths = token_lengths(cleaned.samples, inputs["student"].path)
    selected = select(cleaned.samples, slice.selection, slice.dataset.num_val, slice.seed, lengths)
    if not selected.train:
        raise _too_few(slice, len(selected.val), rollouts)
    rates = _pass_rates(prompts, rollouts)
    train, val = (_rows(slice, samples, rates, lengths) for samples in (selected.train, selected.val))
    unit = "tokens" if lengths is None else "tokens of the student's tokenizer"
    verdicts = json.loads((rollouts / "pass_rates.json").read_bytes())["verdicts"]
    num_unsolved = _num_rows(prompts / "prompts.jsonl") - _num_questions(rollouts / "kept.jsonl")
    card = contents([*train, *val], len(val), slice.response, unit)
    card["refused"] = refused(num_unsolved, verdicts, cleaned, selected)
    write_set(out.path, prompts, train, val, card)
    write_jsonl(out.path / "quarantine.jsonl", cleaned.quarantined)
    write_json(out.path / "contamination.json", cleaned.findings.report())
    metrics = {
        "num_train": len(train),
        "num_val": len(val),
        "num_quarantined": len(cleaned.quarantined),
        "num_duplicates": len(cleaned.duplicates),
        "num_contaminated": len(cleaned.contaminated),
        "num_near_hits": len(cleaned.findings.near_hits),
    }
    print(", ".join(f"{name} {value}" for name, value in metrics.items()), flush=True)
    return out.publish("chat", metrics)


def _rows(
    slice: DatasetSlice,
    samples: Sequence[Sample],
    rates: Mapping[str, str],
    lengths: Mapping[tuple[str, int], int] | None,
) -> list[ChatRow]:
    """Rows with ids of their own: ID#INDEX where several rollouts of a question are kept."""
    num_kept = Counter(sample.prompt.id for sample in samples)
    rows = []
    for sample in samples:
        row_id, index = sample.prompt.id, sample.rollout.index
        if lengths is not None:
            rollout = sample.rollout.model_copy(update={"num_tokens": lengths[row_id, index]})
            sample = sample._replace(rollout=rollout)
        name = f"{row_id}#{index}" if num_kept[row_id] > 1 else row_id
        rows.append(chat_row(slice.prompt, sample, slice.response, name, rates.get(row_id, "")))
    return rows


def _uncounted(cleaned: Cleaned) -> bool:
    return any(not sample.rollout.num_tokens for sample in cleaned.samples)


def _pass_rates(prompts: Path, rollouts: Path) -> dict[str, str]:
    """Correct rollouts of all, such as 3/5, by question.

    None where rollouts were cancelled, or where the response came with the question: nobody drew it.
    """
    correct: Counter[str] = Counter()
    drawn: Counter[str] = Counter()
    unknown = set(read_responses(prompts))
    for rollout in parse_lines(rollouts / "rollouts.jsonl", Rollout, []):
        if rollout.verdict == "cancelled":
            unknown.add(rollout.id)
        drawn[rollout.id] += 1
        correct[rollout.id] += rollout.verdict == "correct"
    return {row_id: f"{correct[row_id]}/{num}" for row_id, num in drawn.items() if row_id not in unknown}


def _num_rows(path: Path) -> int:
    with path.open("rb") as file:
        return sum(bool(line.strip()) for line in file)


def _num_questions(path: Path) -> int:
    return len({rollout.id for rollout in parse_lines(path, Rollout, [])})


def _check_broken(slice: DatasetSlice, cleaned: Cleaned, rollouts: Path) -> None:
    allowed, found = slice.dataset.max_bad_fraction, bad_fraction(cleaned)
    if found > allowed:
        shown = "; ".join(str(one) for one in cleaned.quarantined[:MAX_FAULTS_SHOWN])
        raise DataError(
            Fault(
                where=str(rollouts / "kept.jsonl"),
                found=f"{len(cleaned.quarantined)} broken rows ({found:.1%}), the first: {shown}",
                allowed=f"at most {allowed:.1%} (dataset.max_bad_fraction)",
                next="mend the source these rows come from, or raise dataset.max_bad_fraction",
            )
        )


def _too_few(slice: DatasetSlice, num_usable: int, rollouts: Path) -> DataError:
    bin_ = slice.selection.length_bin
    return DataError(
        Fault(
            where=str(rollouts / "kept.jsonl"),
            found=f"{num_usable} usable rows" + (f" of {bin_[0]} to {bin_[1]} tokens" if bin_ else ""),
            allowed=f"more than dataset.num_val = {slice.dataset.num_val}",
            next="look at pass_rates.json beside it; ask more questions, widen length_bin or lower num_val",
        )
    )
