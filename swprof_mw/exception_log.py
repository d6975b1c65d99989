"""What an unhandled exception leaves in its span."""

from __future__ import annotations

import traceback

#: Frames of the stack that are kept, the innermost ones.
FRAMES = 50
_MESSAGE_LENGTH = 2_000


def exception_log(exception: BaseException, with_message: bool) -> tuple[tuple[str, str], ...]:
    """The log of ``exception`` as SkyWalking shows it: type, message and stack.

    The stack has places but no source lines: those would be read from files, on the request's own time.

    Args:
        with_message: the setting ``exception_messages``; a message may hold what the user typed.
    """
    kind = type(exception)
    entries = [("event", "error"), ("error.kind", f"{kind.__module__}.{kind.__qualname__}")]
    if with_message:
        entries.append(("message", _message(exception)))
    frames = list(traceback.walk_tb(exception.__traceback__))[-FRAMES:]
    stack = (f'File "{frame.f_code.co_filename}", line {line}, in {frame.f_code.co_name}' for frame, line in frames)
    entries.append(("stack", "\n".join(stack)))
    return tuple(entries)


def _message(exception: BaseException) -> str:
    """The exception's own text, which is the app's code and may fail itself, in any way: without us it never ran."""
    try:
        return str(exception)[:_MESSAGE_LENGTH]
    except BaseException as failure:  # noqa: BLE001
        return f"<no text: {type(failure).__name__} in __str__>"
