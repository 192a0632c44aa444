"""The live pipeline: from the spool to findings and alerts, and from the spool to the lake."""
