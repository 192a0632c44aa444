"""Live inputs and the durable spool between them and the workers."""
