"""A rank that gets SIGTERM while torch is imported, and whose main thread then runs no Python for long."""

import os
import signal
import sys
import time
from collections.abc import Sequence
from types import ModuleType

from spica.sft import train


class Stops:
    @staticmethod
    def find_spec(name: str, path: Sequence[str] | None, target: ModuleType | None = None) -> None:
        if name == "torch":
            os.kill(os.getpid(), signal.SIGTERM)
            signal.pthread_sigmask(signal.SIG_BLOCK, [])
            time.sleep(60)


sys.meta_path.insert(0, Stops)
train.main()
