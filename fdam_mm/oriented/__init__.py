"""From a detector's boxes to results: files of them, merging of patches, DOTA's submission."""
