"""Test-time augmentation in all three toolkits."""
