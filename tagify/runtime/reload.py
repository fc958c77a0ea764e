"""SIGHUP: the settings are read again, and those that can change in a running process do."""

import logging
from typing import Generic, TypeVar

from tagify.errors import SettingsError
from tagify.logs import configure
from tagify.runtime.sd_notify import Notifier
from tagify.settings import CommonSettings, load

logger = logging.getLogger(__name__)

S = TypeVar("S", bound=CommonSettings)

LIVE = frozenset({"log_level", "log_format"})
"""Settings that are taken over at once. All others are built into parts that are made at the start;
a restart, which drops no request, takes them over."""


class Reloader(Generic[S]):
    """Knows the settings that a service runs with."""

    def __init__(self, name: str, settings: S, notifier: Notifier) -> None:
        self._name = name
        self._running = settings
        self._notifier = notifier

    def reload(self) -> None:
        """Read the settings again. With a mistake in them all stay as they are."""
        self._notifier.reloading()
        try:
            self._take_over(load(type(self._running)))
        except SettingsError as error:
            logger.error("the settings have mistakes; the old ones stay: %s", error)  # noqa: TRY400
        self._notifier.reloaded()

    def _take_over(self, fresh: S) -> None:
        configure(self._name, fresh.log_level, fresh.log_format)
        names = type(fresh).model_fields
        changed = {name for name in names if getattr(fresh, name) != getattr(self._running, name)}
        self._running = self._running.model_copy(update={name: getattr(fresh, name) for name in LIVE})
        logger.info("settings read again: %s", ", ".join(sorted(changed & LIVE)) or "nothing to take over")
        if waiting := changed - LIVE:
            logger.warning("changed settings that wait for a restart: %s", ", ".join(sorted(waiting)))
