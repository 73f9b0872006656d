"""What stops an audit."""


class AuditError(Exception):
    """One sentence: what could not be asked, and the next command."""
