"""Measuring models: what they cost, and what their layers do to frequencies."""
