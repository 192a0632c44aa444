"""Sigma rules: YAML to a checked model with conditions as trees of field tests."""
