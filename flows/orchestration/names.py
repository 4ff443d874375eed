"""Names that flows, deployments and the server share."""

CPU, GPU = "lihop-cpu", "lihop-gpu"
"""The work pools."""

TAG = "lihop"
"""What all our deployments are tagged with, and their runs with them."""

GPU_SLOT = "gpu-slot"
"""Tag of tasks that need a GPU to themselves; a limit of that name says how many may run at once."""

WRITER = "duckdb-writer"
"""The limit that whoever records holds, where there is one: file locks do not reach other machines."""

PREDICT = "predict-barriers/gpu"
"""The deployment that screenings have barriers predicted by."""
