"""Rules and batches of events to matches."""
