"""Datasets: preparation, checks and scenes drawn from a seed. Import the module you need."""
