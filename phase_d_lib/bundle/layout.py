"""Where things lie in a bundle."""

from __future__ import annotations

REPORT = "report"
"""Folder of the report itself: texts, figures, tables, JSON files."""
NOTEBOOKS = "notebooks"
RUNS = "runs"
INDEX = "index.html"
CLAIMS = "CLAIMS"
"""Name of the list of claims, without its ending."""
PROFILE = "profile"
"""Folder of the profile, resolved, as a file that can be used again."""
