"""The commands `spica data ...`."""

import json
import shutil
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from spica.artifacts.types import Kind, PromptRow, Rollout
    from spica.dataset.drop import By, Dropped

app = typer.Typer(name="data", help="Work on stored training data.", no_args_is_help=True)


@app.callback()
def data() -> None:
    """Work on stored training data."""


@app.command()
def drop(
    folder: Annotated[Path, typer.Argument(help="Folder of a chat or a rollouts artifact.")],
    out: Annotated[Path, typer.Option(help="Folder to write; must not exist or be empty.")],
    teacher: Annotated[list[str] | None, typer.Option(help="Drop what this teacher wrote.")] = None,
    license: Annotated[
        list[str] | None, typer.Option(help="Drop rows under this licence; none: rows without one.")
    ] = None,
    source: Annotated[list[str] | None, typer.Option(help="Drop rows of this source.")] = None,
    prompts: Annotated[
        Path | None, typer.Option(help="With a rollouts folder: that of the prompts they answer.")
    ] = None,
) -> None:
    """Rebuild a set without a teacher, a licence or a source, from what is stored; nobody is asked.

    The manifest.json of the new folder names what it was made from, what was dropped, and every file.
    """
    from spica.dataset.drop import drop_from_chat
    from spica.dataset.lineage import source_digest, write_manifest
    from spica.errors import Fault, PrerequisiteError, RecipeError

    given: Dropped = {
        key: names for key, names in (("teacher", teacher), ("license", license), ("source", source)) if names
    }
    if not given:
        raise RecipeError(
            Fault("spica data drop", "nothing to drop", "--teacher, --license or --source", "name one")
        )
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise PrerequisiteError(Fault(f"--out {out}", "it holds something", "a new folder", "name another"))
    for given_folder in filter(None, (folder, prompts)):
        if out.resolve().is_relative_to(given_folder.resolve()):
            found = f"it lies in {given_folder}, which is only read"
            raise PrerequisiteError(Fault(f"--out {out}", found, "a new folder elsewhere", "name another"))
    started = datetime.now(UTC)
    kind: Kind = "rollouts" if (folder / "kept.jsonl").is_file() else "chat"
    inputs: dict[str, Path] = {kind: folder}
    if kind == "rollouts" and prompts is not None:
        inputs["prompts"] = prompts
    digests = {name: source_digest(path) for name, path in inputs.items()}
    if kind == "rollouts":
        went = _drop_from_rollouts(folder, prompts, given, out)
    else:
        went = drop_from_chat(folder, given, out)
    for name, num in went.items():
        print(f"dropped {name}: {num} rows")
    num_left = json.loads((out / "card.json").read_bytes())["num_rows"]
    counts = {"num_rows": num_left} | {f"num_dropped.{name}": num for name, num in went.items()}
    write_manifest(out, kind, given, digests, counts, started, __name__)
    print(f"{out}: {num_left} rows are left")


def _drop_from_rollouts(folder: Path, prompts: Path | None, dropped: "Dropped", out: Path) -> dict[str, int]:
    from spica.artifacts.rows import read_jsonl, write_jsonl
    from spica.artifacts.types import PromptRow, Rollout
    from spica.dataset.drop import check_pictures, count_dropped, matches
    from spica.distill.difficulty import solved
    from spica.distill.given import is_askable
    from spica.distill.select import pass_rates
    from spica.errors import DataError, Fault, RecipeError

    if prompts is None:
        advice = "add --prompts with the folder of the prompts artifact"
        raise RecipeError(Fault("--prompts", "not given", "sources and licences stand there", advice))
    rows = {row.id: row for row in read_jsonl(prompts / "prompts.jsonl", PromptRow)}
    rollouts = read_jsonl(folder / "rollouts.jsonl", Rollout)
    kept = read_jsonl(folder / "kept.jsonl", Rollout)
    base = read_jsonl(folder / "base.jsonl", Rollout) if (folder / "base.jsonl").is_file() else []
    if strange := [one.id for one in (*rollouts, *kept, *base) if one.id not in rows]:
        advice = "give the prompts that these rollouts answer"
        raise DataError(
            Fault(str(prompts), f"no question {strange[0]!r}", "every rollout's question", advice)
        )
    kept_from, drawn_from = ([_provenance(rows[one.id], one) for one in some] for some in (kept, rollouts))
    went = count_dropped(kept_from, dropped, drawn_from)
    left, kept_left, base_left = (
        [one for one in some if not matches(_provenance(rows[one.id], one), dropped)]
        for some in (rollouts, kept, base)
    )
    if not kept_left:
        raise DataError(Fault(str(folder), "all kept rollouts", "some that are left", "drop less"))
    asked = list(dict.fromkeys(one.id for one in left))
    images = sorted({image.path for one in (*left, *base_left) for image in rows[one.id].images})
    check_pictures(folder, images)
    out.mkdir(parents=True, exist_ok=True)
    write_jsonl(out / "rollouts.jsonl", left)
    write_jsonl(out / "kept.jsonl", kept_left)
    if base_left:
        write_jsonl(out / "base.jsonl", base_left)
    stay = [row for row in rows.values() if not matches(_provenance(row), dropped)]
    rates = {
        **pass_rates([rows[row_id] for row_id in asked], left),
        "num_gold_unparsed": sum(not is_askable(row) for row in stay),
        "num_base_right": len(solved(base_left)),
    }
    _write(out / "pass_rates.json", rates)
    _write(out / "card.json", {"num_rows": len(kept_left), "num_rollouts": len(left), "dropped": went})
    for image in images:
        (out / image).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(folder / image, out / image)
    return went


def _provenance(row: "PromptRow", rollout: "Rollout | None" = None) -> "dict[By, str]":
    teacher = "" if rollout is None else rollout.teacher
    return {"teacher": teacher, "license": row.license or "none", "source": row.source}


def _write(path: Path, value: object) -> None:
    path.write_text(json.dumps(value, indent=1, sort_keys=True) + "\n", encoding="utf-8")
