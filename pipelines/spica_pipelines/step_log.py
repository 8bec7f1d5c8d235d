"""What the log of a step says of how Spica ended in it. A log is text that anybody wrote."""

import contextlib
import json
import re

from spica.artifacts.runs import TaskRecord
from spica.task import RECORD_MARK

NOISE = re.compile(r'I\d{4} \d\d:|time="')
"""Lines of KFP's launcher and Argo's that say nothing of a failure."""
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
    lines = dict.fromkeys(line for line in log.splitlines() if line.strip() and not NOISE.match(line))
    return [*lines][-NUM_LAST_LINES:]
