"""Command-line face of the stage `sources`; the task `student` has a module of its own."""

import sys

from spica.task import run_from_command_line

if __name__ == "__main__":
    run_from_command_line("spica.sources.student" if "student" in sys.argv[1:2] else "spica.sources.run")
