"""Data while a model trains on it: what is wrong is said with the name of the file."""
