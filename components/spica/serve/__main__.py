"""Command-line face of the stage `serve`."""

from spica.task import run_from_command_line

if __name__ == "__main__":
    run_from_command_line("spica.serve.run")
