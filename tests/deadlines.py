"""Deadlines that tests set."""


class StopAfter:
    """A deadline that is reached after some looks."""

    reason = "the time limit is near"

    def __init__(self, looks):
        self.looks = looks

    def reached(self):
        self.looks -= 1
        return self.looks < 0

    def overdue(self):
        return False
