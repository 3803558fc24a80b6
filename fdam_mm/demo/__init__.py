"""A page in the browser that tries models on pictures: ``fdam demo``."""
