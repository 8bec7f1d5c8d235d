"""Run on every rank: the trainer, whose launcher is told to stop during step SPICA_TEST_STOP."""

import os
import signal
import time

from spica.sft import preemption, train
from spica.sft.data import Sample
from spica.sft.trainer import Trainer

STEP = int(os.environ["SPICA_TEST_STOP"])
trains = Trainer._step


def trains_and_stops(trainer: Trainer, epoch: int, batch: list[Sample]) -> None:
    if trainer.rank == 0 and trainer.progress.step + 1 == STEP:
        os.kill(os.getppid(), signal.SIGTERM)
        while not preemption.is_requested():  # torchrun passes it on
            time.sleep(0.01)
    trains(trainer, epoch, batch)


Trainer._step = trains_and_stops  # type: ignore[method-assign]
train.main()
