"""Everyone who wants to know what happened, behind one call."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from extauthz.authserver.anomaly import SINGLE, Detector
from extauthz.authserver.bursts import Bursts
from extauthz.authserver.events import MAX_TEXT, alerted, recorded

if TYPE_CHECKING:
    from extauthz.authserver.anomaly import AnomalyRules
    from extauthz.authserver.audit import Record
    from extauthz.authserver.bursts import Tallies
    from extauthz.authserver.events import Alert, Event
    from extauthz.authserver.metrics import Metrics
    from extauthz.authserver.webhook import Webhook

_log = logging.getLogger(__name__)


class Watch:
    """Records, counts, and looks for anomalies. Nothing here waits for a disk or a network."""

    def __init__(
        self,
        *,
        record: Record | None,
        metrics: Metrics,
        rules: AnomalyRules,
        webhook: Webhook | None = None,
        tallies: Tallies | None = None,
    ) -> None:
        """``tallies`` are what several processes count together."""
        self._record = record
        self._metrics = metrics
        self._webhook = webhook
        self.bursts = None if tallies is None else Bursts(tallies, self._alert)
        self._detector = Detector(rules) if self.bursts is None else Detector(rules, on_count=self.bursts.saw)

    def saw(self, event: Event) -> None:
        """Tell of an event."""
        if self._record is not None:
            self._record.write(recorded(event))
        self._metrics.saw(event)
        for alert in self._detector.saw(event):
            if self.bursts is None or alert.rule in SINGLE:
                self._alert(alert)
            else:
                self.bursts.raised(alert)

    def _alert(self, alert: Alert) -> None:
        if self._record is not None:
            self._record.write(alerted(alert))
        self._metrics.alerted(alert)
        _log.warning("alert: %s: %r, %d in a minute", alert.rule, alert.subject[:MAX_TEXT], alert.count)
        if self._webhook is not None:
            self._webhook.send(alert)
