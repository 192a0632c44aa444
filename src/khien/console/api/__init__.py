"""The REST API and webhooks."""
