"""Pictures of any size, tile by tile, within bounded memory: one module per task."""
