"""Pages of incidents, by theme."""
