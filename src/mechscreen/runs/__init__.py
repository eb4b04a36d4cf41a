"""Running a campaign: its jobs, what they cost, how far they are, and the way on after a fault."""
