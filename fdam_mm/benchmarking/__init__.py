"""What FDAM costs, measured so that anybody can measure it again: see ``fdam bench --help``."""
