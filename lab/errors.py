"""The one exception a user of the lab sees."""


class LabError(Exception):
    """A sentence: what is wrong, where, and what to do next."""
