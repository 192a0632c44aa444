"""Units and the subcommittee."""
