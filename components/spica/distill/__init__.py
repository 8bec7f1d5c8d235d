"""Asks a teacher every question several times and keeps what is right."""
