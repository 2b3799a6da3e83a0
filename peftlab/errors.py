"""The one exception that is the user's to mend: shown as a single sentence, without a traceback."""


class UserError(Exception):
    """A wrong input. The message names the key, the value that was given and the legal ones."""
