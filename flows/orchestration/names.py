"""Names that flows, deployments and the server share."""

CPU, GPU = "lihop-cpu", "lihop-gpu"
"""The work pools."""

TAG = "lihop"
"""What all our deployments are tagged with, and their runs with them."""

TAKEN_FOR_DEAD = "Nothing was heard of this run"
"""How the message begins by which an automation marks a run as crashed of which no heartbeat is heard."""

GPU_SLOT = "gpu-slot"
"""Tag of tasks that need a GPU to themselves; a limit of that name says how many may run at once."""

GPU_LIMIT = f"tag:{GPU_SLOT}"
"""What the server calls the limit by that tag."""

WRITER = "duckdb-writer"
"""The limit that whoever records holds, where there is one: file locks do not reach other machines."""

GPU_TAKEN = "GpuTaken"
"""How the state of a prediction is called that waited for the GPU in vain."""

PREDICT = "predict-barriers/gpu"
"""The deployment that screenings have barriers predicted by."""

TRAIN = "train-barrier-model/gpu"
"""The deployment that trainings are done by where there is a GPU."""
