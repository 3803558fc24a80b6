"""Preparation of public data sets: unpacked, checked, cut into patches."""
