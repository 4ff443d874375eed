"""lihop on a Slurm cluster: `cluster.py` starts Dask workers as jobs, `screen.sbatch` is a job itself."""
