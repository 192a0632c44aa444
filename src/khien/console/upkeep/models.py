"""Which worker works, and how each chore last went."""

from __future__ import annotations

from typing import ClassVar

from django.db import models


class Lease(models.Model):
    """The right to work, held by one worker over all processes and machines until it runs out."""

    name = models.CharField(max_length=40, primary_key=True)
    holder = models.CharField(max_length=200, blank=True)
    until = models.DateTimeField()
    taken_at = models.DateTimeField()

    def __str__(self) -> str:
        return f"{self.name}: {self.holder}"


class ChoreRun(models.Model):
    """The last run of a chore. `failures`: how many in a row ended with an error; `error`: the last one's text."""

    name = models.CharField(max_length=80, primary_key=True)
    every = models.FloatField()
    started_at = models.DateTimeField(null=True)
    ended_at = models.DateTimeField(null=True)
    seconds = models.FloatField(default=0)
    runs = models.BigIntegerField(default=0)
    failures = models.PositiveIntegerField(default=0)
    failed_at = models.DateTimeField(null=True)
    error = models.TextField(blank=True)

    class Meta:
        ordering: ClassVar = ["name"]

    def __str__(self) -> str:
        return self.name
