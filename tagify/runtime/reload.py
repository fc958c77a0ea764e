"""Reload on SIGHUP: read the settings again and apply those that can change in a running process."""

import logging
from typing import Generic, TypeVar

from tagify.errors import SettingsError
from tagify.logs import configure_logging
from tagify.runtime.sd_notify import SystemdNotifier
from tagify.settings import CommonSettings, load

logger = logging.getLogger(__name__)

S = TypeVar("S", bound=CommonSettings)

RELOADABLE = frozenset({"log_level", "log_format"})
"""Settings that a reload applies. All others are read by objects created at start; they need a restart,
which drops no request."""


class SettingsReloader(Generic[S]):
    """Reloads the settings of a running service."""

    def __init__(self, name: str, settings: S, notifier: SystemdNotifier) -> None:
        self._name = name
        self._running = settings
        self._notifier = notifier

    def reload(self) -> None:
        """Read the settings again. If they are invalid, the old settings stay in effect."""
        self._notifier.reloading()
        try:
            self._apply(load(type(self._running)))
        except SettingsError as error:
            logger.error("invalid settings; keeping the old ones: %s", error)  # noqa: TRY400
        self._notifier.reloaded()

    def _apply(self, fresh: S) -> None:
        configure_logging(self._name, fresh.log_level, fresh.log_format)
        names = type(fresh).model_fields
        changed = {name for name in names if getattr(fresh, name) != getattr(self._running, name)}
        self._running = self._running.model_copy(update={name: getattr(fresh, name) for name in RELOADABLE})
        logger.info("settings reloaded: %s", ", ".join(sorted(changed & RELOADABLE)) or "no changes")
        if needs_restart := changed - RELOADABLE:
            logger.warning("changed settings need a restart: %s", ", ".join(sorted(needs_restart)))
