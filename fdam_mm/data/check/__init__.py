"""Checks of labelled data: what the toolkits' readers would drop, ignore or crash on."""
