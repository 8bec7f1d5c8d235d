"""Answers per second and core: this project, Math-Verify, OpenBMB's OlympiadBench judge, on the same pairs.

    make bench-score
    python -m tests.bench.bench_score --olympiadbench-judge FOLDER --olympiadbench-python PYTHON

Interleaved rounds in one run, medians of CPU time. The clock counts only for a side no more accurate than
this project on the labels. FOLDER holds `math_judger.py` of OpenBMB/OlympiadBench (inference/code), no part
of this project; PYTHON has sympy 1.12 and antlr4-python3-runtime 4.11, in which that judge works.
"""

import argparse
import json
import os
import platform
import random
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from spica.answers import worker
from spica.answers.extract import extract
from spica.answers.score import score
from spica.answers.types import ScoreRow

from ..unit.answers.hostile_answers import GOLDS, hostile_answers

HERE = Path(__file__).parent
VERDICTS = HERE.parent / "data" / "verdicts"
SIDE = HERE / "bench_score_side.py"
GOALS = {"math-verify": 5.0, "olympiadbench": 10.0}
DEADLINE_S, MAX_RSS_MIB = worker.DEADLINE_S, worker.MAX_BYTES // 2**20


def read_pairs(num_pairs: int, seed: int) -> list[dict[str, Any]]:
    """Pairs of a gold answer and a boxed answer without options, drawn from the verdict corpora."""
    pairs = []
    for path in (VERDICTS / f"{name}.jsonl" for name in ("mathvision", "mmmu", "olympiadbench")):
        for line in path.read_text().splitlines():
            row = json.loads(line)
            answer = extract(row.get("response", "")) or ""
            if "truth" in row and isinstance(row["gold"], str) and answer and not row.get("options"):
                pairs.append(
                    {"gold": row["gold"], "answer": answer, "truth": row["truth"]}
                    | {key: row.get(key) or "" for key in ("error", "unit")}
                )
    return random.Random(seed).sample(pairs, min(num_pairs, len(pairs)))


class Side:
    def __init__(self, name: str, python: str, arguments: Sequence[str]) -> None:
        self.name, self.rounds, self.verdicts = name, list[float](), list[bool]()
        command = [python, str(SIDE), name, *arguments]
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
        )

    def run(self, measured: bool) -> None:
        assert self._process.stdin is not None and self._process.stdout is not None
        self._process.stdin.write("go\n")
        self._process.stdin.flush()
        reply = json.loads(self._process.stdout.readline())
        self.verdicts = reply["verdicts"]
        if measured:
            self.rounds.append(reply["cpu_s"])

    def accuracy(self, pairs: Sequence[dict[str, Any]]) -> float:
        return sum(given == pair["truth"] for given, pair in zip(self.verdicts, pairs, strict=True)) / len(
            pairs
        )

    def close(self) -> None:
        self._process.communicate()


def hostile_run() -> tuple[int, float, int, float]:
    """Number of hostile answers, longest verdict in s, accepted ones, peak RSS of the worker in MiB."""
    longest, accepted, rss = 0.0, 0, 0.0
    answers = hostile_answers()
    for number, answer in enumerate(answers):
        row = ScoreRow(id=str(number), response=f"\\boxed{{{answer}}}", gold=GOLDS[number % len(GOLDS)])
        started = time.perf_counter()
        accepted += score([row], "math")[0].correct
        longest = max(longest, time.perf_counter() - started)
        rss = max(rss, worker_rss_mib())
    return len(answers), longest, accepted, rss


def worker_run() -> tuple[int, int, float, float]:
    """Towers handed to the child past all guards: their number, kills, longest CPU in s, peak RSS in MiB."""
    from hostile_answers import TOWERS

    longest, kills, rss = 0.0, 0, 0.0
    for answer in TOWERS:
        before = os.times()
        try:
            worker.call("spica.answers.algebra:equal", answer, "7")
        except worker.WorkerError:
            kills += worker.pid() is None
        after = os.times()  # of children: only the killed ones have been waited for
        if worker.pid() is None:
            longest = max(
                longest,
                after.children_user + after.children_system - before.children_user - before.children_system,
            )
        rss = max(rss, worker_rss_mib())
    return len(TOWERS), kills, longest, rss


def worker_rss_mib() -> float:
    child = worker.pid()
    try:
        status = Path(f"/proc/{child}/status").read_text() if child else ""
    except OSError:
        return 0.0
    peak = [line.split()[1] for line in status.splitlines() if line.startswith("VmHWM")]
    return int(peak[0]) / 1024 if peak else 0.0


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pairs", type=int, default=600)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seed", type=int, default=time.time_ns() % 10**6)
    parser.add_argument("--olympiadbench-judge")
    parser.add_argument("--olympiadbench-python", default=sys.executable)
    options = parser.parse_args()
    pairs = read_pairs(options.pairs, options.seed)
    commit = subprocess.run(
        ["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True
    ).stdout.strip()
    print(
        f"machine: {platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}; "
        f"commit {commit}"
    )
    print(f"{len(pairs)} pairs, seed {options.seed}, {options.rounds} rounds; CPU time, workers included")
    with tempfile.NamedTemporaryFile("w", suffix=".json") as file:
        json.dump(pairs, file)
        file.flush()
        sides = [Side("spica", sys.executable, [file.name]), Side("math-verify", sys.executable, [file.name])]
        if options.olympiadbench_judge:
            sides.append(
                Side("olympiadbench", options.olympiadbench_python, [file.name, options.olympiadbench_judge])
            )
        for number in range(options.rounds + 1):  # the first one warms up
            for side in sides if number % 2 else sides[::-1]:
                side.run(measured=number > 0)
        met = report(sides, pairs)
        for side in sides:
            side.close()
    num, longest, accepted, rss = hostile_run()
    print(
        f"hostile: {num} answers, longest verdict {longest:.2f} s, {accepted} accepted, "
        f"worker's peak RSS {rss:.0f} MiB"
    )
    num, kills, cpu, rss = worker_run()
    print(
        f"child: {num} towers past all guards, {kills} killed, longest {cpu:.1f} s of CPU, RSS {rss:.0f} MiB"
    )
    # A killed worker is started again within the verdict that follows.
    return 0 if met and not accepted and longest <= DEADLINE_S + 2.0 and rss <= MAX_RSS_MIB else 1


def report(sides: Sequence[Side], pairs: Sequence[dict[str, Any]]) -> bool:
    ours, met = sides[0], True
    for side in sides:
        seconds = statistics.median(side.rounds)
        wrong = sum(given and not pair["truth"] for given, pair in zip(side.verdicts, pairs, strict=True))
        line = (
            f"{side.name:14} accuracy {side.accuracy(pairs):.4f}, false accepts {wrong}, "
            f"{len(pairs) / seconds:9.0f} answers/s/core"
            f" (rounds {min(side.rounds):.2f}..{max(side.rounds):.2f} s)"
        )
        if side is not ours:
            if side.accuracy(pairs) > ours.accuracy(pairs):
                line, met = f"{side.name:14} is more accurate: no figure", False
            else:
                ratio = seconds / statistics.median(ours.rounds)
                met &= ratio >= GOALS[side.name]
                line += f"; spica is {ratio:.1f} x as fast (goal {GOALS[side.name]:.0f} x)"
        print(line)
    if len(sides) < 3:
        print("olympiadbench  not compared: no --olympiadbench-judge")
    return met


if __name__ == "__main__":
    sys.exit(main())
