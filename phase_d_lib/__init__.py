"""Predict, measure, watch, tune and validate how fast a RocksDB can keep writing."""

__version__ = "0.1.0"
