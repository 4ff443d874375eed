"""How flows get to a Prefect server, and how a workstation runs one: pools, deployments, processes."""
