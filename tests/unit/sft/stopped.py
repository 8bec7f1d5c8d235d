"""Run on every rank: the trainer, whose launcher is told to stop during step SPICA_TEST_STOP."""

import os
import signal
import time

from spica.sft import train

STEP = int(os.environ["SPICA_TEST_STOP"])
trains = train.Trainer._step


def trains_and_stops(trainer: train.Trainer, epoch: int, batch: list[train.Sample]) -> None:
    if trainer.rank == 0 and trainer.progress.step + 1 == STEP:
        os.kill(os.getppid(), signal.SIGTERM)
        while not train._terminated:  # torchrun passes it on
            time.sleep(0.01)
    trains(trainer, epoch, batch)


train.Trainer._step = trains_and_stops  # type: ignore[method-assign]
train.main()
