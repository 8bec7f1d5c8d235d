"""The paper's 64-GPU training on simulated nodes: queued, admitted whole or not at all, bound, preempted.

Simulated pods train nothing. The job is the one that recipe virgo-72b asks for under profile cluster64.
"""

import threading
import time
from collections.abc import Iterator

import pytest

from bed.processes import wait_until

from .figures import Measure
from .pool import Pool, name_of, pool, running_for
from .rendered import Rendering

pytestmark = pytest.mark.cluster
NUM_TRIES = 100
LIMIT_S = 10.0
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


@pytest.mark.full
def test_of_two_jobs_at_once_one_gets_all_gpus_and_the_other_none(gpus: Pool, figure: Measure) -> None:
    started = time.monotonic()
    tries = [_try(gpus) for _ in range(NUM_TRIES)]
    took_s, slowest_s = time.monotonic() - started, max(bound_s for _, bound_s in tries)
    num_partial = sum(is_partial for is_partial, _ in tries)
    measured = f"{num_partial} of {NUM_TRIES}; slowest bound after {slowest_s:.1f} s, all in {took_s:.0f} s"
    figure("64 GPUs: partial gangs", f"0 in {NUM_TRIES} tries of two jobs at once", measured)
    assert num_partial == 0


def _try(gpus: Pool) -> tuple[bool, float]:
    """Whether both jobs were seen with nodes, or none got all of them in time; seconds until one had."""
    names, began = _submit_two(gpus), time.monotonic()
    is_partial = False
    while 8 not in (bound := gpus.bound()).values():
        is_partial = is_partial or len(bound) > 1
        if (waited_s := time.monotonic() - began) > LIMIT_S:
            gpus.clear()
            return True, waited_s
        time.sleep(0.02)
    bound_s = time.monotonic() - began
    wait_until("the other one told to wait", lambda: any(map(gpus.is_waiting, names)), limit_s=10)
    is_partial = is_partial or len(gpus.bound()) > 1
    gpus.clear()
    return is_partial, bound_s


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
