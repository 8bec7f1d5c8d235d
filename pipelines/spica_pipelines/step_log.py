"""What the log of a step says of how Spica ended in it. A log is text that anybody wrote."""

import contextlib
import json
import re
from collections.abc import Iterator

from spica.artifacts.runs import TaskRecord
from spica.task import RECORD_MARK

NOISE = re.compile(r'I\d{4} \d\d:|time="')
"""Lines of KFP's launcher and Argo's that say nothing of a failure; one that ends with { begins more."""
NUM_LAST_LINES = 5


def record_of(log: str, name: str) -> TaskRecord | None:
    """The last record that the step printed, wherever in a line."""
    for part in reversed(log.split(RECORD_MARK)[1:]):
        with contextlib.suppress(ValueError):
            record = TaskRecord.model_validate(json.JSONDecoder().raw_decode(part)[0])
            if record.task == name:
                return record
    return None


def last_lines(log: str) -> list[str]:
    """The last lines of a step that left no record."""
    # The engine writes each line twice.
    lines = dict.fromkeys(line for line in _without_noise(log) if line.strip())
    return [*lines][-NUM_LAST_LINES:]


def _without_noise(log: str) -> Iterator[str]:
    is_open = False
    for line in log.splitlines():
        if NOISE.match(line):
            is_open = line.endswith("{")
        elif is_open:
            # An object that the launcher prints over many lines ends with a brace of its own.
            is_open = not line.startswith("}")
        else:
            yield line
