"""Lists to XLSX and CSV, and back with a preview."""
