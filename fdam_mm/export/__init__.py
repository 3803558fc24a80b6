"""Models for other runtimes: exported to ONNX, and checked there against torch."""
