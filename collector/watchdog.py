"""The watchdog: an evaluation every two seconds; each that works renews the permits, none in 60 s is blindness."""

import logging
import threading
import time
from typing import Final

from warehouse.errors import Busy, StoreError
from warehouse.store import Warehouse

_LOG = logging.getLogger("equipoise.watchdog")

TICK_S: Final = 2.0
BLIND_AFTER_S: Final = 60.0
"""Seconds without an evaluation after which the guard is blind; a store error makes it so at once."""


class Watchdog:
    """A thread beside the writer; it only watches for *blind*, trips are the writer's.

    Args:
        store: the warehouse.
        tick_s: seconds between evaluations.
        blind_after_s: seconds without one until failsafe.
    """

    def __init__(self, store: Warehouse, tick_s: float = TICK_S, blind_after_s: float = BLIND_AFTER_S) -> None:
        self._store, self._tick_s, self._blind_after_s = store, tick_s, blind_after_s
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="equipoise-watchdog", daemon=True)
        self.last_tick = time.monotonic()

    def start(self) -> None:
        """Begin to watch."""
        self._thread.start()

    def stop(self) -> None:
        """Stop watching; permits grow old from now on, so after 60 s the gateway serves the base arm."""
        self._stop.set()
        self._thread.join(10)

    def _run(self) -> None:
        while not self._stop.is_set():
            self._once()
            self._stop.wait(self._tick_s)

    def _once(self) -> None:
        try:
            # Half the limit: two missed in a row are a minute, and a stuck writer must not stop the watch.
            self._store.tick().result(timeout=self._blind_after_s / 2)
        except (StoreError, Busy, TimeoutError, OSError) as error:
            _LOG.warning("no evaluation: %s", error)
        except Exception:  # the rim: the watch goes on whatever a tick met, and no heartbeat is given
            _LOG.exception("the evaluation failed")
        else:
            self.last_tick = time.monotonic()
            for name in self._store.experiments:
                self._store.permits.heartbeat(name)
        silent = time.monotonic() - self.last_tick
        if silent >= self._blind_after_s and self._store.guarding.blindness is None:
            self._store.guarding.go_blind(f"no evaluation for {silent:.0f} s")
