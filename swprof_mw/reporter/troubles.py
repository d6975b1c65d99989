"""One line in the log when something begins to fail, and one when it works again, however often it is tried."""

from __future__ import annotations

import logging

from swprof_mw.clock import monotonic_ns
from swprof_mw.log import fields

logger = logging.getLogger("swprof_mw")

_NOT_THERE = "not there"
_UNTRUSTED = "not trusted"
#: Statuses that a wrong token is told by.
_NO_ENTRY = frozenset({"PERMISSION_DENIED", "UNAUTHENTICATED"})
#: What has worked again for so long, ns, has ended. What fails again earlier, as where a backend flaps, goes on.
_CALM = 3_000_000_000
#: Losses are logged so often at the most, ns.
_QUIET = 60_000_000_000


class Troubles:
    """Which calls fail now, and how. Many calls that fail alike are one trouble."""

    def __init__(self) -> None:
        self._kinds: dict[object, str] = {}
        self._over: dict[str, tuple[int, str, str]] = {}

    def unavailable(self, job: object, address: str, error: str) -> None:
        """The backend was not there for that job."""
        if self._begins(job, _NOT_THERE):
            extra = fields("backend_unavailable", backend=address, error=error)
            words = "the backend %s does not answer (%s); what is queued is kept, trying on"
            logger.warning(words, address, error, extra=extra)

    def untrusted(self, job: object, address: str, fault: str) -> None:
        """TLS to the backend does not come about."""
        if self._begins(job, _UNTRUSTED):
            extra = fields("backend_untrusted", backend=address, error=fault)
            words = "no TLS to the backend %s: %s; what is queued is kept, trying on"
            logger.error(words, address, fault, extra=extra)

    def refused(self, job: object, method: str, address: str, code: str, error: str) -> None:
        """The backend refused that job's call with that status."""
        if self._begins(job, code):
            hint = ", is the token (authentication) right?" if code in _NO_ENTRY else ""
            extra = fields("backend_refuses", backend=address, call=method, status=code, error=error)
            logger.warning("the backend %s refuses %s (%s)%s; trying on", address, method, error, hint, extra=extra)

    def over(self, job: object, method: str, address: str) -> None:
        """That job's call was taken."""
        kind = self._kinds.pop(job, None)
        if kind is not None and kind not in self._kinds.values():
            whole = kind in (_NOT_THERE, _UNTRUSTED)
            self._over[kind] = (monotonic_ns(), address, "answers" if whole else f"takes {method}")

    @property
    def unsettled(self) -> bool:
        """Whether one is over whose end has not been logged yet."""
        return bool(self._over)

    def settle(self) -> None:
        """Log the end of what has been over for a while. Called often."""
        for kind, (since, address, does) in tuple(self._over.items()):
            if monotonic_ns() - since >= _CALM:
                del self._over[kind]
                extra = fields("backend_recovered", backend=address)
                logger.info("the backend %s %s again", address, does, extra=extra)

    def _begins(self, job: object, kind: str) -> bool:
        goes_on = self._over.pop(kind, None) is not None or kind in self._kinds.values()
        self._kinds[job] = kind
        return not goes_on


class Losses:
    """Logs how much was lost, at most once a minute."""

    def __init__(self) -> None:
        self._logged: dict[str, int] = {}
        self._quiet_until = 0

    def note(self, lost: dict[str, int], why: str, at_once: bool = False) -> None:
        """Log what was lost since the last line.

        Args:
            lost: how many of each kind, since the start.
            why: the end of the sentence.
            at_once: also if there was a line less than a minute ago.
        """
        now = monotonic_ns()
        since = {kind: count - self._logged.get(kind, 0) for kind, count in lost.items()}
        if any(since.values()) and (at_once or now >= self._quiet_until):
            self._logged = dict(lost)
            self._quiet_until = now + _QUIET
            words = ", ".join(f"{count} {kind}" for kind, count in since.items() if count)
            counts = {kind.replace(" ", "_"): count for kind, count in since.items()}
            logger.warning("lost %s: %s", words, why, extra=fields("lost", reason=why, **counts))
