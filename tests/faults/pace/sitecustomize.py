"""Has every process that is started with this folder on its PYTHONPATH wait at gates: see `pacing`."""

from __future__ import annotations

import pacing

pacing.install()
