"""``python -m phase_d_lib``."""

from phase_d_lib.cli import main

main()
