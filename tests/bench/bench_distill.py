"""Lossless cancelling against asking all five, on a metered teacher: `make bench-distill`.

Client and teacher are processes of one tree on one machine, interleaved A B B A. The gate comes first: a run
whose kept rollouts differ from those of asking all five by one byte has no figures. Tokens are counted by the
teacher, CPU time by the kernel (from the first request to the published files: a client's imports are not in
it).

Everything here is MEASURED except the column `ideal`: the tokens of a cancelling that knows at once.
"""

import argparse
import hashlib
import json
import os
import platform
import random
import signal
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from spica.artifacts.manifest import Artifact
from spica.artifacts.rows import write_jsonl
from spica.artifacts.types import Gold, PromptRow
from spica.distill.draws import request_seed
from spica.distill.run import run
from spica.launch.local import LocalLauncher
from spica.recipe.slices import DistillSlice

from ..fakes.metered_teacher import Manner, answer
from ..unit.distill.distill_examples import make_slice, manifest, workspace

ROOT = Path(__file__).parents[2]
FILES = ("rollouts.jsonl", "kept.jsonl", "pass_rates.json")
PREFIX = "Please first think deeply about the question, and then put the final answer in \\boxed{}."
K = 5


@dataclass(frozen=True)
class Ran:
    """One run of a client, and what it cost the teacher."""

    kept: str
    files: str
    wall_s: float
    cpu_s: float
    generated: int
    prompt: int
    computed: int
    aborted: int
    late_s: float


def slice_of(url: str, cancel: bool, concurrency: int) -> DistillSlice:
    """Five rollouts per question; patience for a crowded machine."""
    return make_slice(
        url,
        rollouts={"num_rollouts": K, "max_tokens": 1 << 15, "cancel_longer": cancel},
        requests={"concurrency": concurrency, "request_timeout_s": 60.0},
    )


def client(url: str, prompts: str, folder: str, cancel: str, concurrency: str) -> None:
    """The process that is measured: the stage as it is, then its figures as JSON."""
    out = workspace(Path(folder))
    slice = slice_of(url, cancel == "cancel", int(concurrency))
    inputs = {"prompts": Artifact(manifest(), "", lambda _: Path(prompts))}
    sys.stdout = sys.stderr
    started, cpu = time.monotonic(), time.process_time()
    run(slice, inputs, out, LocalLauncher(Path(folder) / "state"))
    print(json.dumps([time.monotonic() - started, time.process_time() - cpu]), file=sys.__stdout__)


def write_prompts(folder: Path, num: int, seed: int) -> Path:
    """Questions of many lengths; the seed is drawn at run time."""
    rng = random.Random(seed)
    rows = []
    for number in range(num):
        gold = rng.randrange(100, 1000)
        text = f"Question {number}-{seed}, gold {gold}: " + "word " * rng.randrange(20, 600)
        rows.append(
            PromptRow(
                id=f"q{number}",
                source="bench",
                question=text,
                gold=Gold(kind="number", value=str(gold)),
                modality="text",
            )
        )
    folder.mkdir(parents=True)
    write_jsonl(folder / "prompts.jsonl", rows)
    return folder


@contextmanager
def teacher(manner: Manner) -> Iterator[str]:
    """A teacher in a process of its own; yields its address."""
    options = [f"--{name.replace('_', '-')}={str(value).lower()}" for name, value in asdict(manner).items()]
    script = str(ROOT / "tests" / "fakes" / "metered_teacher.py")
    with subprocess.Popen([sys.executable, script, *options], stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            yield f"http://127.0.0.1:{int(process.stdout.readline())}"
        finally:
            process.kill()


def meter(address: str) -> dict[str, Any]:
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(f"{address}/meter", timeout=60) as response:
        return dict(json.loads(response.read()))


def command(address: str, prompts: Path, folder: Path, cancel: bool, concurrency: int) -> list[str]:
    words = [f"{address}/v1", str(prompts), str(folder), "cancel" if cancel else "all", str(concurrency)]
    return [sys.executable, "-m", "tests.bench.bench_distill", "--client", *words]


def ask(address: str, prompts: Path, folder: Path, cancel: bool, concurrency: int) -> Ran:
    """One run from nothing."""
    before = meter(address)
    words = command(address, prompts, folder, cancel, concurrency)
    ran = subprocess.run(words, capture_output=True, text=True, check=False)
    if ran.returncode:
        sys.exit(f"a client ended with {ran.returncode}:\n{ran.stderr[-2000:]}")
    after = meter(address)
    wall_s, cpu_s = json.loads(ran.stdout)
    cost = {name: after[name] - before[name] for name in ("generated", "prompt", "computed", "aborted")}
    return Ran(digest(folder, ["kept.jsonl"]), digest(folder), wall_s, cpu_s, late_s=after["late_s"], **cost)


def digest(folder: Path, names: Sequence[str] = FILES) -> str:
    return hashlib.sha256(b"".join((folder / "files" / name).read_bytes() for name in names)).hexdigest()[:16]


def ideal(manner: Manner, prompts: Path) -> float:
    """Tokens of a cancelling without delay, as a share of all five's."""
    slice = slice_of("", True, 1)
    whole = least = 0
    for line in (prompts / "prompts.jsonl").read_text().splitlines():
        row = PromptRow.model_validate_json(line)
        text = f"{PREFIX}\n{row.question}"
        said = [answer(manner, text, request_seed(slice.seed, row.id, index)) for index in range(K)]
        shortest = min((one.num_tokens for one in said if one.is_right), default=1 << 30)
        whole += sum(one.num_tokens for one in said)
        least += sum(min(one.num_tokens, shortest) for one in said)
    return least / whole


def compare(manner: Manner, num: int, concurrency: int, rounds: int, folder: Path, seed: int) -> None:
    """The claim: rounds of A B B A, medians with range, beside the noise of A against A."""
    prompts = write_prompts(folder / "prompts", num, seed)
    runs: dict[bool, list[Ran]] = {False: [], True: []}
    order = [False, True, True, False] * ((rounds + 1) // 2)
    for number, cancel in enumerate(order[: 2 * rounds]):
        with teacher(manner) as address:  # anew: a cold prefix cache
            ran = ask(address, prompts, folder / f"run-{number}", cancel, concurrency)
        runs[cancel].append(ran)
        print(f"  {'cancelling' if cancel else 'all five  '}  {asdict(ran)}", flush=True)
    kept = {ran.kept for listed in runs.values() for ran in listed}
    files = {ran.files for ran in runs[True]}
    if len(kept) > 1 or len(files) > 1:
        print(f"GATE FAILED: {len(kept)} sets of kept rollouts, {len(files)} of cancelling runs; no figures")
        sys.exit(1)
    print(
        f"gate passed: the same kept rollouts in all {2 * rounds} runs, the same files in all cancelling ones"
    )
    a, b = runs[False], runs[True]
    _row(
        "tokens, cancelling / all five",
        [y.generated / x.generated for x, y in zip(a, b, strict=True)],
        "<= 0.65",
    )
    print(f"    ideal {ideal(manner, prompts):.3f} (MODEL)")
    _row("wall, cancelling / all five", [y.wall_s / x.wall_s for x, y in zip(a, b, strict=True)], "<= 0.75")
    _row(
        "A/A: wall of all five / its median",
        [x.wall_s / statistics.median(y.wall_s for y in a) for x in a],
        "",
    )
    _row("client CPU / wall, cancelling", [x.cpu_s / x.wall_s for x in b], "<= 0.03")
    _row("client CPU / wall, all five", [x.cpu_s / x.wall_s for x in a], "")
    _row("client CPU per 1,000 tokens, cancelling, s", [1000 * x.cpu_s / x.generated for x in b], "")
    _row("generated tokens/s, cancelling", [x.generated / x.wall_s for x in b], "")
    _row("prefill computed / asked, cancelling", [x.computed / x.prompt for x in b], f"<= {1 / K + 0.05}")
    _row("teacher slower than nominal, s in all", [x.late_s for x in a + b], "")


def _row(name: str, values: Sequence[float], goal: str) -> None:
    spread = f"{statistics.median(values):.3f}  [{min(values):.3f}, {max(values):.3f}]"
    print(f"  {name:44} {spread}  {goal}")


def sweep(folder: Path, num: int, seed: int) -> None:
    """Success rate and how much longer wrong answers are; below 1 they are shorter."""
    print("sweep: success rate x length of wrong / right; tokens cancelling / all five (ideal)")
    prompts = write_prompts(folder / "prompts", num, seed)
    gaps = (0.7, 1.0, 1.3, 1.6)
    print("   p    " + "".join(f"gap {gap}          " for gap in gaps))
    for success in (0.4, 0.5, 0.6, 0.75, 0.9):
        cells = []
        for gap in gaps:
            manner = Manner(success=success, gap=gap, mean_tokens=120, step_s=0.008, slots=32, interval=2)
            with teacher(manner) as address:
                all_five = ask(address, prompts, folder / f"{success}-{gap}-all", False, 32)
                cancelled = ask(address, prompts, folder / f"{success}-{gap}-cancel", True, 32)
            same = all_five.kept == cancelled.kept
            share = f"{cancelled.generated / all_five.generated:.3f}" if same else "GATE FAILED"
            cells.append(f"{share} ({ideal(manner, prompts):.3f})")
        print(f"  {success:4}  " + "    ".join(cells), flush=True)


def kills(folder: Path, num: int, num_kills: int, seed: int) -> None:
    """kill -9 again and again: the files equal those of a run that nobody disturbed."""
    prompts = write_prompts(folder / "prompts", num, seed)
    manner = Manner(mean_tokens=80, slots=16, step_s=0.006)
    journal = folder / "killed" / "scratch" / "rollouts.jsonl"
    with teacher(manner) as address:
        whole = ask(address, prompts, folder / "whole", True, 16)
        before, num_done = meter(address)["generated"], 0
        for number in range(num_kills):
            target = max(num_done + 1, (number + 1) * K * num // (num_kills + 1))
            num_done = _live_until(command(address, prompts, folder / "killed", True, 16), journal, target)
        ended = ask(address, prompts, folder / "killed", True, 16)
        spent = meter(address)["generated"] - before
    same = ended.files == whole.files
    print(
        f"{num_kills} times kill -9 over {K * num} rollouts: {'the same bytes' if same else 'GATE FAILED'} "
        f"in {', '.join(FILES)}; {spent / whole.generated:.2f} times the tokens of the undisturbed run"
    )
    if not same:
        sys.exit(1)


def _live_until(words: list[str], journal: Path, num_rows: int) -> int:
    """A client that is killed when the journal has so many rows; rows at its death."""
    with subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        while _num_rows(journal) < num_rows:
            if process.poll() is not None:
                raise RuntimeError("the client ended before it could be killed: ask more questions")
            time.sleep(0.003)
        os.kill(process.pid, signal.SIGKILL)
    return _num_rows(journal)


def _num_rows(journal: Path) -> int:
    return journal.read_bytes().count(b"\n") if journal.exists() else 0


def main() -> None:
    """Prints the table; exit code 1 when a gate fails."""
    if sys.argv[1:2] == ["--client"]:
        client(*sys.argv[2:])
        return
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--questions", type=int, default=128)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--kills", type=int, default=40)
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(10**6))
    parser.add_argument("--only", choices=("compare", "sweep", "kills"))
    options = parser.parse_args()
    commit = subprocess.run(
        ["git", "-C", str(ROOT), "describe", "--always", "--dirty"],
        capture_output=True,
        text=True,
        check=False,
    ).stdout.strip()
    print(f"bench-distill  commit {commit}  {datetime.now(UTC):%Y-%m-%d %H:%M} UTC  seed {options.seed}")
    cpus = [line for line in Path("/proc/cpuinfo").read_text().splitlines() if line.startswith("model name")]
    print(
        f"{cpus[0].partition(': ')[2] if cpus else platform.machine()}, {os.cpu_count()} CPUs, "
        f"load {os.getloadavg()[0]:.1f}, nice {os.nice(0)}, Python {platform.python_version()}"
    )
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        if options.only in (None, "compare"):
            manner = Manner()
            print(f"claim: {options.questions} questions, {K} rollouts each, {manner}")
            compare(manner, options.questions, manner.slots, options.rounds, folder / "compare", options.seed)
        if options.only in (None, "sweep"):
            sweep(folder / "sweep", max(8, options.questions // 8), options.seed)
        if options.only in (None, "kills"):
            kills(folder / "kills", 2 * options.kills, options.kills, options.seed)


if __name__ == "__main__":
    main()
