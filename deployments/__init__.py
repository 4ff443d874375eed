"""How lihop is run for others: `prefect.yaml`, read by `lihop deploy` and by Prefect's own command alike."""
