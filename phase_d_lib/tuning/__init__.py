"""Tuning: for now a paired comparison of option sets from one tree."""
