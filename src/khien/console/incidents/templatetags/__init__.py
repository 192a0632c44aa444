"""Tags of incidents."""
