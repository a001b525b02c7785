"""What Prometheus may know: numbers only, no texts, no ids."""

from collections.abc import Callable

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

_SECONDS = (0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 20, 40, 80, 160, 300)


class Metrics:
    """One registry per gateway, so that several in one process (tests) do not mix."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        self.calls = Counter(
            "equipoise_gateway_calls",
            "Stage 2 calls answered or failed",
            ("experiment", "arm", "reason", "dialect", "result"),
            registry=self._registry,
        )
        self.latency = Histogram(
            "equipoise_gateway_call_seconds",
            "From a call's arrival to its answer",
            ("experiment",),
            buckets=_SECONDS,
            registry=self._registry,
        )
        self.backend_errors = Counter(
            "equipoise_gateway_backend_errors",
            "Failures of a backend, by kind",
            ("experiment", "arm", "kind"),
            registry=self._registry,
        )
        self.assignments = Counter(
            "equipoise_gateway_assignments",
            "Assignments answered without a call",
            ("experiment", "reason"),
            registry=self._registry,
        )
        self.passed = Counter(
            "equipoise_gateway_passed_through", "Requests passed on untouched and unlogged", registry=self._registry
        )
        self.unexpected = Counter(
            "equipoise_gateway_unexpected_errors", "Errors that no handler expected", registry=self._registry
        )

        self.permit_age = Gauge(
            "equipoise_gateway_permit_age_seconds",
            "Since the permit's heartbeat; -1 without a permit",
            ("experiment",),
            registry=self._registry,
        )

    def watch(self, name: str, text: str, read: Callable[[], float]) -> None:
        """Show a number that is kept elsewhere.

        Args:
            name: without the common prefix.
            text: what it means.
            read: gives its value now.
        """
        Gauge(f"equipoise_gateway_{name}", text, registry=self._registry).set_function(read)

    def page(self) -> bytes:
        """The text for Prometheus."""
        return generate_latest(self._registry)
