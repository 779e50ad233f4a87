"""Weights on disk and in memory: reading headers, filling modules, moving them between devices."""
