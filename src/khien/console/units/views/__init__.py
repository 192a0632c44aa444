"""Pages of units and of the subcommittee."""
