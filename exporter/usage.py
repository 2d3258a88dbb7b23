"""What the operator gave and cannot be used: errors whose text is written for it alone."""


class UsageError(Exception):
    """What the operator gave cannot be used; the text says what to do about it."""


class MachineError(UsageError):
    """What the operator gave cannot be used now, and it is not its fault: no descriptor, no memory, a broken disk."""


NO_THREAD = "no thread is to be had: raise the limit of processes and threads"
"""What a `UsageError` says where a thread could not be started."""
