"""The command `spica score`."""

import json
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, cast, get_args

import typer

if TYPE_CHECKING:
    from spica.answers.types import Scored
    from spica.evaluate.judge import Judge
    from spica.recipe.schema import Endpoint

app = typer.Typer()

_CONCURRENCY = 8
"""Judgements in flight."""


@app.command()
def score(
    file: Annotated[
        Path, typer.Argument(help="JSONL: id, response, gold; question, options ... where there are.")
    ],
    benchmark: Annotated[
        str,
        typer.Option(help="mathverse, mathvision, olympiadbench, mmmu, math."),
    ],
    mode: Annotated[
        str,
        typer.Option(
            help="repaired, or the published program's verdict: official, fork (the paper's authors')."
        ),
    ] = "repaired",
    out: Annotated[Path | None, typer.Option(help="File to write; standard output when left out.")] = None,
    predictions: Annotated[
        Path | None, typer.Option(help="JSONL of id and response, joined to FILE by id.")
    ] = None,
    judge_url: Annotated[str | None, typer.Option(help="OpenAI API of the model that judges words.")] = None,
    judge_model: Annotated[str, typer.Option(help="Its name there.")] = "",
    judge_key_env: Annotated[
        str | None, typer.Option(help="NAME of the environment variable that holds its key.")
    ] = None,
) -> None:
    """Score responses: one row {id, correct, extracted, method, reason} per row of FILE, in order.

    Where a judge was asked, OUT.judge.json says how often, and how far it agrees with judgements made by
    hand.
    """
    from spica.answers.rows import read_rows
    from spica.answers.score import score as score_rows
    from spica.answers.types import Judged, Mode
    from spica.artifacts.rows import encode_row, write_jsonl
    from spica.recipe.schema import Endpoint

    judged = cast(Judged, _one_of(benchmark, get_args(Judged), "--benchmark"))
    way = cast(Mode, _one_of(mode, get_args(Mode), "--mode"))
    rows = read_rows(file, predictions)
    endpoint = (
        None if judge_url is None else Endpoint(url=judge_url, model=judge_model, api_key_env=judge_key_env)
    )
    with _judge(endpoint, out) as judge:
        scored = score_rows(rows, judged, way, judge)
        if out is None:
            sys.stdout.buffer.write(b"".join(map(encode_row, scored)))
            sys.stdout.flush()
        else:
            write_jsonl(out, scored)
        print(_summary(scored), file=sys.stderr)
        # The golden set is asked last, and of a judge that was needed: its failing must not cost the scores.
        card = _judge_card(endpoint, judge) if judge is not None and judge.num_calls else None
    if card is None:
        return
    if out is not None:
        text = json.dumps(card, indent=1, ensure_ascii=False) + "\n"
        out.with_name(f"{out.name}.judge.json").write_text(text, encoding="utf-8")
    print(_agreed(card), file=sys.stderr)


def _one_of(value: str, allowed: Sequence[str], option: str) -> str:
    from spica.errors import Fault, RecipeError

    if value not in allowed:
        raise RecipeError(
            Fault(option, repr(value), ", ".join(allowed), f"spica score FILE {option} {allowed[0]}")
        )
    return value


@contextmanager
def _judge(endpoint: "Endpoint | None", out: Path | None) -> Iterator["Judge | None"]:
    """The judge and its journal beside the output, so that nothing is asked twice; None without one."""
    if endpoint is None:
        yield None
        return
    from spica.artifacts.journal import Journal
    from spica.evaluate.judge import Judge
    from spica.recipe.slices import RequestScale

    requests = RequestScale(concurrency=_CONCURRENCY, request_timeout_s=120.0, max_attempts=5)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "judge.jsonl" if out is None else out.with_name(f"{out.name}.judge")
        with Journal(path) as journal:
            yield Judge(endpoint, requests, journal)


def _judge_card(endpoint: "Endpoint | None", judge: "Judge | None") -> dict[str, Any] | None:
    """As the evaluation stage has it: calls, those on the golden set included, and agreement with it."""
    if endpoint is None or judge is None:
        return None
    from spica.evaluate.agreement import agreement
    from spica.evaluate.summary import judge_card

    agreed = agreement(judge, _CONCURRENCY)
    return judge_card(endpoint, judge.num_calls, agreed)


def _summary(scored: Sequence["Scored"]) -> str:
    correct = sum(row.correct for row in scored)
    methods = Counter(row.method for row in scored)
    by_method = ", ".join(f"{name} {count}" for name, count in sorted(methods.items()))
    return f"{correct} of {len(scored)} correct; {by_method or 'no rows'}"


def _agreed(card: dict[str, Any]) -> str:
    golden = card["golden"]
    kappa = "not defined" if golden["kappa"] is None else f"{golden['kappa']:.3f}"
    return (
        f"judge {card['model']}: {card['num_calls']} calls; as by hand {golden['num_equal']} of "
        f"{golden['num']}, unjudged {golden['num_unjudged']}, kappa {kappa}"
    )
