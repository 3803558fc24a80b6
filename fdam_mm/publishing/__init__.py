"""Models for others: a folder of weights, settings and a card, and its way to a hub and back.

What such a folder says is data. Its config is JSON, of which a loader takes what a test needs; it
names types that are registered, no files, no addresses and no Python.
"""
