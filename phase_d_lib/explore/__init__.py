"""What the explore notebooks call: one desk, and panels of controls over plain results.

Widgets are controls only. What they show is HTML with pictures inside, put into one output by its
display id, so that a saved notebook, its HTML and a run without a front end all keep it.

`desk` gathers what a visitor needs; `first_look` shows the recorded run; `whatif` asks v3 about
changed options; `live_run` starts, follows and stops a run whose process is `live_process`; `logs`
reads a LOG; `runset` compares runs. A module ending in `_view` turns results into HTML, one ending
in `_panel` puts controls over them.
"""

from phase_d_lib.explore.compare_panel import RunPanel
from phase_d_lib.explore.desk import Desk, open_desk
from phase_d_lib.explore.first_look import first_look
from phase_d_lib.explore.live_panel import LivePanel
from phase_d_lib.explore.log_panel import LogPanel
from phase_d_lib.explore.whatif_panel import WhatIfPanel

__all__ = ["Desk", "LivePanel", "LogPanel", "RunPanel", "WhatIfPanel", "first_look", "open_desk"]
