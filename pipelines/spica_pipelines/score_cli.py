"""The command `spica score`."""

import sys
import tempfile
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, cast, get_args

import typer

if TYPE_CHECKING:
    from spica.answers.judging import JudgeClient
    from spica.answers.types import Scored

app = typer.Typer()


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
    """Score responses: one row {id, correct, extracted, method, reason} per row of FILE, in order."""
    from spica.answers.rows import read_rows
    from spica.answers.score import score as score_rows
    from spica.answers.types import Judged, Mode
    from spica.artifacts.rows import encode_row, write_jsonl

    judged = cast(Judged, _one_of(benchmark, get_args(Judged), "--benchmark"))
    way = cast(Mode, _one_of(mode, get_args(Mode), "--mode"))
    rows = read_rows(file, predictions)
    with _judge(judge_url, judge_model, judge_key_env, out) as judge:
        scored = score_rows(rows, judged, way, judge)
    if out is None:
        sys.stdout.buffer.write(b"".join(map(encode_row, scored)))
        sys.stdout.flush()
    else:
        write_jsonl(out, scored)
    print(_summary(scored), file=sys.stderr)


def _one_of(value: str, allowed: Sequence[str], option: str) -> str:
    from spica.errors import Fault, RecipeError

    if value not in allowed:
        raise RecipeError(
            Fault(option, repr(value), ", ".join(allowed), f"spica score FILE {option} {allowed[0]}")
        )
    return value


@contextmanager
def _judge(
    url: str | None, model: str, key_env: str | None, out: Path | None
) -> Iterator["JudgeClient | None"]:
    """The judge and its journal beside the output, so that nothing is asked twice; None without a URL."""
    if url is None:
        yield None
        return
    from spica.artifacts.journal import Journal
    from spica.evaluate.judge import Judge
    from spica.recipe.schema import Endpoint
    from spica.recipe.slices import RequestScale

    endpoint = Endpoint(url=url, model=model, api_key_env=key_env)
    requests = RequestScale(concurrency=8, request_timeout_s=120.0, max_attempts=5)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "judge.jsonl" if out is None else out.with_name(f"{out.name}.judge")
        with Journal(path) as journal:
            yield Judge(endpoint, requests, journal)


def _summary(scored: Sequence["Scored"]) -> str:
    correct = sum(row.correct for row in scored)
    methods = Counter(row.method for row in scored)
    by_method = ", ".join(f"{name} {count}" for name, count in sorted(methods.items()))
    return f"{correct} of {len(scored)} correct; {by_method or 'no rows'}"
