"""Where candidate structures come from and how they are cleaned."""
