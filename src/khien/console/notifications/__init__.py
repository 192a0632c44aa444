"""Notices to people, in the console and by e-mail."""
