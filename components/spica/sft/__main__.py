"""Command-line face of the stage `sft`."""

from spica.task import run_from_command_line

if __name__ == "__main__":
    run_from_command_line("spica.sft.run")
