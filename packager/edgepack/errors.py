"""The one exception that edgepack raises on purpose, and what its codes mean to a shell.

A code names one situation for ever. `error_codes.toml` documents each: what it is, why it is bad,
what to do instead; `edgepack explain CODE` prints it. Only the standard library is imported, since
workers in other environments raise these errors too.
"""

from __future__ import annotations

OK = 0
ANSWER_IS_NO = 1
BUG = 70
INTERRUPTED = 130

# The hundred of a code is its family; a shell sees the family.
_EXIT_BY_HUNDRED = {1: 2, 2: 3, 3: 4, 4: 5, 5: 6, 6: 7, 9: BUG}


class EdgepackError(Exception):
    """An expected failure: a stable code, what happened, why, and what to do.

    code: "E" and three digits, listed in error_codes.toml.
    message: one sentence, what happened.
    why: the cause, may span lines; "" when the message says it all.
    help: what to do about it; "" when nothing can be done.
    log: path of the full log of the job that failed, or "".
    """

    def __init__(
        self,
        code: str,
        message: str,
        *,
        why: str = "",
        help: str = "",  # noqa: A002 the word that compilers print
        log: str = "",
    ) -> None:
        super().__init__(f"{code}: {message}")
        self.code = code
        self.message = message
        self.why = why
        self.help = help
        self.log = log

    @property
    def exit_code(self) -> int:
        """The process exit code of this error's family."""
        return exit_code_of(self.code)


def exit_code_of(code: str) -> int:
    """The process exit code that the family of an error code has.

    2 configuration, 3 model or data, 4 environment, 5 conversion, 6 runtime, 7 apps, 70 a bug.
    """
    return _EXIT_BY_HUNDRED.get(int(code[1]), BUG)
