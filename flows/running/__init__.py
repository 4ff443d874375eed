"""Where batches run, and how: pools of several kinds, fed plainly or as Prefect task runs."""
