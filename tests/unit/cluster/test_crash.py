import pytest

from spica.cluster.crash import LastWords

CHILD_FAILED = "torch.distributed.elastic.multiprocessing.errors.ChildFailedError: "
SILENT = "the ranks ended without a word (killed, out of memory?)"
PEER = "RuntimeError: Connection closed by peer [10.0.0.3]"
STEP = "sft D_T step 5/24 epoch 1/2 loss 1.2 lr 1e-05 10 tokens/s ETA 3 s"


def signature(*lines: str) -> str | None:
    words = LastWords()
    for line in lines:
        words.hear(line)
    return words.signature()


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        (["[rank0]: ValueError: row 17 at 0x7f3a", CHILD_FAILED], "ValueError: row N at N"),
        (["torch.OutOfMemoryError: 20.00 GiB"], "torch.OutOfMemoryError: N.N GiB"),
        (["KeyError: 'a'", "During handling ...", "ValueError: b"], "KeyError: 'a'"),
        ([PEER, "ValueError: b"], "ValueError: b"),
        (["ValueError: b", "RuntimeError: Connection reset by peer"], "ValueError: b"),
        (["RuntimeError: [pair.cc] Connection closed by peer [10.0.0.3]:51", CHILD_FAILED], None),
        (["RuntimeError: [unbound_buffer.cc] Timed out waiting 1800000ms for recv operation"], None),
        (["torch.distributed.DistBackendError: NCCL error ... remote process exited"], None),
        (["socketProgress: Connection closed by remote peer 10.0.0.3<41234>"], None),
        (["torch.distributed.DistNetworkError: The client socket has timed out after 60000ms"], None),
        (["terminate called after Watchdog caught collective operation timeout"], None),
        ([], SILENT),
        ([CHILD_FAILED], SILENT),
    ],
)
def test_a_crash_is_known_by_the_error_that_began_it(lines: list[str], expected: str | None) -> None:
    assert signature(*lines) == expected


def test_many_ranks_with_long_tracebacks_do_not_hide_the_first_error() -> None:
    assert signature("ValueError: b", *["  File train.py"] * 5000, PEER) == "ValueError: b"


def test_an_error_that_training_outlived_ended_nothing() -> None:
    assert signature("ValueError: b", STEP, STEP) == SILENT


def test_a_line_of_progress_just_after_the_error_of_another_rank_does_not_hide_it() -> None:
    assert signature(STEP, "[rank1]: ValueError: b", STEP, PEER) == "ValueError: b"
