"""What an event is, and which Sigma log sources and field names it has."""
