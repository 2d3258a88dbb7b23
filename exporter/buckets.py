"""The bounds that polls are counted by: all that the pages need of the loop's values while there are none."""

DURATION_BUCKETS = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
"""Upper bounds in seconds: from a loopback's few milliseconds to the default deadline of a poll."""
