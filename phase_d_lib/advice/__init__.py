"""Advice from a LOG alone: what stalled, why, and what a twin of the instance says would help.

The twin is the simulation behind v3, started with the options and the level sizes found in the
LOG, fitted on the LOG's first half. It predicts the second half; how far off it was is said before
anything it advises.
"""
