"""Pictures as files: the one reader of their pixels and sizes."""
