"""Drawn data sets in the layouts of ADE20K, COCO and DOTA."""
