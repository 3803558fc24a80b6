"""Readers of labelled sets, a file for each format.

Each module has ``NAME`` (what ``--format`` takes), ``LOOKED_FOR`` (a clause for people),
``detects(folder)``, which is sure and reads little, and ``open_set(folder)``.
"""
