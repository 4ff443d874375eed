"""What runs: Prefect flows, their parameters, the task runners and the command line."""
