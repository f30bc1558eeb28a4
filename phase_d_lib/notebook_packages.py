"""The packages that run and read notebooks, imported without a grammar that none of them uses.

jsonschema, which nbformat imports, takes ``rfc3987_syntax`` where it is installed (Jupyter's event
schemas ask for it). That package compiles a grammar when it is imported, which takes nearly half of
the time a stage needs to start; no notebook schema checks an IRI. Without it jsonschema leaves that
one check out. It can be imported as ever afterwards.
"""

from __future__ import annotations

import sys

_GRAMMAR = "rfc3987_syntax"

_hidden = _GRAMMAR not in sys.modules
if _hidden:
    sys.modules[_GRAMMAR] = None  # type: ignore[assignment]
try:
    import nbformat
    import papermill
    import scrapbook
    from nbclient.exceptions import DeadKernelError
    from papermill.exceptions import PapermillExecutionError
    from papermill.translators import PythonTranslator, papermill_translators
finally:
    if _hidden:
        del sys.modules[_GRAMMAR]

__all__ = [
    "DeadKernelError",
    "PapermillExecutionError",
    "PythonTranslator",
    "nbformat",
    "papermill",
    "papermill_translators",
    "scrapbook",
]
