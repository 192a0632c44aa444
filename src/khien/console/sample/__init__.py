"""An invented province to look at and to learn with: nothing in it is real."""

LOGINS = "sample-logins.json"
"""The file of the data folder with its people's passwords."""
