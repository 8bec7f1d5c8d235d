"""The paper's 64-GPU training on simulated nodes: queued, admitted whole or not at all, bound, preempted.

Simulated pods train nothing. The job is the one that recipe virgo-72b asks for under profile cluster64.
"""

import threading
import time
from collections.abc import Iterator
from typing import NamedTuple

import pytest

from bed.processes import wait_until

from .figures import Measure
from .pool import Pool, name_of, pool, running_for
from .rendered import Rendering

pytestmark = pytest.mark.cluster
NUM_TRIES = 100
LIMIT_S, GIVE_UP_S = 10.0, 60.0
VIRGO = Rendering.of("virgo-72b", "cluster64")


@pytest.fixture(scope="module")
def gpus(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pool]:
    with pool(tmp_path_factory.mktemp("pool")) as found:
        yield found


@pytest.fixture(autouse=True)
def clear(gpus: Pool) -> Iterator[None]:
    yield
    gpus.clear()


def test_64_gpus_are_bound_within_10_s_and_a_second_gang_waits_then_runs(gpus: Pool, figure: Measure) -> None:
    first, second = (VIRGO.job("sft-d_t", running_for(duration)) for duration in ("15s", "10s"))
    started = time.monotonic()
    gpus.cluster.create(first)
    gpus.wait_running(name_of(first), limit_s=30)
    took_s = time.monotonic() - started
    nodes = {pod["spec"]["nodeName"] for pod in gpus.cluster.list("Pod")}
    gpus.cluster.create(second)
    wait_until("the second one told to wait", lambda: gpus.is_waiting(name_of(second)), limit_s=10)
    assert gpus.bound() == {name_of(first): 8}
    wait_until("the first one's end", lambda: gpus.has(name_of(first), "Succeeded"), limit_s=60)
    ended = time.monotonic()
    gpus.wait_running(name_of(second), limit_s=30)
    next_s = time.monotonic() - ended
    figure("64 GPUs: 8 x 8 bound", "<= 10 s", f"{took_s:.1f} s, {len(nodes)} nodes")
    figure("64 GPUs: a second job", "waits, then runs", f"waited without a pod, ran {next_s:.1f} s after")
    assert took_s <= LIMIT_S
    assert nodes == {f"gpu-{index}" for index in range(8)}


def test_a_job_of_higher_priority_preempts_and_the_first_is_admitted_again(
    gpus: Pool, figure: Measure
) -> None:
    low = VIRGO.job("sft-d_t")
    high = VIRGO.job("sft-control", running_for("5s"), priority="spica-evaluation")
    gpus.cluster.create(low)
    gpus.wait_running(name_of(low), limit_s=30)
    started = time.monotonic()
    gpus.cluster.create(high)
    gpus.wait_running(name_of(high), limit_s=60)
    preempted_s = time.monotonic() - started
    assert gpus.bound() == {name_of(high): 8}
    wait_until("the high one's end", lambda: gpus.has(name_of(high), "Succeeded"), limit_s=60)
    ended = time.monotonic()
    gpus.wait_running(name_of(low), limit_s=60)
    measured = (
        f"ran after {preempted_s:.1f} s; the first again {time.monotonic() - ended:.1f} s after its end"
    )
    figure("64 GPUs: higher priority", "preempts, the first is re-admitted", measured)


class Try(NamedTuple):
    """What became of two jobs that came at once."""

    bound_s: float
    """Until one had all of its nodes."""
    partial: str
    """Nodes of each job, when both had some, or when none had all after GIVE_UP_S; else empty."""


@pytest.mark.full
def test_of_two_jobs_at_once_one_gets_all_gpus_and_the_other_none(gpus: Pool, figure: Measure) -> None:
    tries = [_try(gpus) for _ in range(NUM_TRIES)]
    partial = [one.partial for one in tries if one.partial]
    late = sum(one.bound_s > LIMIT_S for one in tries)
    times = sorted(one.bound_s for one in tries)
    bound = (
        f"{times[NUM_TRIES // 2]:.1f} s (median), {times[-1]:.1f} s (slowest), {late} after more than 10 s"
    )
    measured = f"{len(partial)} of {NUM_TRIES}; bound after {bound}{''.join(partial)}"
    figure("64 GPUs: partial gangs", f"0 in {NUM_TRIES} tries of two jobs at once", measured)
    assert partial == []


def _try(gpus: Pool) -> Try:
    names, began = _submit_two(gpus), time.monotonic()
    both = ""
    while 8 not in (bound := gpus.bound()).values():
        both = str(bound) if len(bound) > 1 else both
        if time.monotonic() - began > GIVE_UP_S:
            gpus.clear()
            return Try(time.monotonic() - began, f"after {GIVE_UP_S:.0f} s: {bound}")
        time.sleep(0.02)
    bound_s = time.monotonic() - began
    both = str(bound) if len(bound) > 1 else both
    wait_until("the other one told to wait", lambda: any(map(gpus.is_waiting, names)), limit_s=GIVE_UP_S)
    bound = gpus.bound()
    both = str(bound) if len(bound) > 1 else both
    gpus.clear()
    return Try(bound_s, both)


def _submit_two(gpus: Pool) -> list[str]:
    bodies = [VIRGO.job("sft-d_t"), VIRGO.job("sft-control")]
    ready = threading.Barrier(len(bodies))

    def create(body: dict[str, object]) -> None:
        ready.wait()
        gpus.cluster.create(body)

    threads = [threading.Thread(target=create, args=(body,)) for body in bodies]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return [name_of(body) for body in bodies]
