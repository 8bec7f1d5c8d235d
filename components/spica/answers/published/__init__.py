"""Verdicts of the benchmarks' published programs, defects included; a module per benchmark."""
