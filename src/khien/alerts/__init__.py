"""Findings to alerts: entities, grouping, risk, live correlation, and a durable store of them."""
