"""The command line: arguments, overrides, and how errors look."""
