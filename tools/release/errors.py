"""Why there is no release."""


class ReleaseError(Exception):
    """What is wrong and what to do; nothing has changed when it is raised."""
