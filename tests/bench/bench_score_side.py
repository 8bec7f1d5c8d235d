"""One side of `bench_score.py`, in a process of its own: reads the pairs once, scores them all per request.

    python bench_score_side.py spica|math-verify|olympiadbench PAIRS [FOLDER-OF-THE-JUDGE]

For every line on stdin one line on stdout: {"cpu_s", "wall_s", "verdicts"}; CPU time counts child processes.
"""

import json
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

Pair = dict[str, Any]
Scorer = Callable[[Pair], bool]


def spica() -> Scorer:
    from spica.answers.compare import decide
    from spica.artifacts.types import Gold

    def scorer(pair: Pair) -> bool:
        gold = Gold(kind="math", value=pair["gold"], tolerance=pair["error"], unit=pair["unit"])
        return decide(pair["answer"], gold).correct

    return scorer


def math_verify() -> Scorer:
    """At its best setting: in-process, no timeouts, LaTeX before plain expressions, the box in dollars."""
    from math_verify import ExprExtractionConfig, LatexExtractionConfig, parse, verify

    targets = (LatexExtractionConfig(boxed_match_priority=0), ExprExtractionConfig())

    def read(text: str) -> list[Any]:
        return parse(f"${text.strip().strip('$')}$", targets, parsing_timeout=None)

    def scorer(pair: Pair) -> bool:
        return bool(verify(read(pair["gold"]), read(pair["answer"]), timeout_seconds=None))

    return scorer


def olympiadbench(folder: str) -> Scorer:
    sys.path.insert(0, folder)
    from math_judger import MathJudger  # type: ignore[import-not-found]  # of the checkout that the caller names

    judger = MathJudger()

    def scorer(pair: Pair) -> bool:
        tolerances = [float(one) for one in pair["error"].split(",")] if pair["error"] else [1e-8]
        precision = tolerances if len(tolerances) > 1 else tolerances[0]
        return bool(judger.judge(pair["answer"], pair["gold"], precision))

    return scorer


def cpu_s() -> float:
    """CPU time of this process and of the worker it may have."""
    used = time.process_time()
    for child in Path(f"/proc/self/task/{os.getpid()}/children").read_text().split():
        fields = Path(f"/proc/{child}/stat").read_text().rpartition(")")[2].split()
        used += (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
    return used


def main() -> None:
    side, path, *more = sys.argv[1:]
    pairs = json.loads(Path(path).read_text())
    scorer = {"spica": spica, "math-verify": math_verify}[side]() if not more else olympiadbench(more[0])
    replies = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what a judge prints is no reply
    for _ in sys.stdin:
        verdicts = []
        cpu, wall = cpu_s(), time.perf_counter()
        for pair in pairs:
            try:
                verdicts.append(scorer(pair))
            except Exception:  # a judge that raises has not accepted
                verdicts.append(False)
        took = {"cpu_s": cpu_s() - cpu, "wall_s": time.perf_counter() - wall, "verdicts": verdicts}
        print(json.dumps(took), file=replies, flush=True)


if __name__ == "__main__":
    main()
