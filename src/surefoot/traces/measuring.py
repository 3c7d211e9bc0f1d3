"""Metrics to OTLP receivers: each minute all that was counted since the process began. Needs `otel`.

What is counted since the beginning can be sent again or not at all and nothing is lost: the next request says it too.
"""

from __future__ import annotations

import gzip
import os
import socket
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING

from surefoot import scope
from surefoot.errors import ConfigError, ExportError, InvalidInput, MissingExtra
from surefoot.models.posting import post
from surefoot.traces.instruments import Histogram, Instrument, Labels, Value
from surefoot.traces.targets import own_version

try:
    from google.protobuf.message import DecodeError
    from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
        ExportMetricsServiceRequest,
        ExportMetricsServiceResponse,
    )
    from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue
    from opentelemetry.proto.metrics.v1 import metrics_pb2
except ImportError as error:
    raise MissingExtra(
        'Sending metrics needs opentelemetry-proto, which is not installed: pip install "surefoot[otel]"'
    ) from error

if TYPE_CHECKING:
    from surefoot.traces.metering import Meter
    from surefoot.traces.targets import Target

log = scope.logger("surefoot.traces")

_EVERY_S = 60.0
_TIMEOUT_S = 10.0
_SHOWN = 300
_CUMULATIVE = metrics_pb2.AggregationTemporality.AGGREGATION_TEMPORALITY_CUMULATIVE


class Measuring:
    """Sends the metrics of this process to receivers, each in a thread of its own, and once more at its end."""

    def __init__(
        self, meter: Meter, targets: Mapping[str, Callable[[], Target]], *, every: float = _EVERY_S
    ) -> None:
        """targets: by the name of the receiver, asked for each time. every: seconds between two requests."""
        self._meter = meter
        self._every = every
        self._began_ns = time.time_ns()
        self._is_over = threading.Event()
        self._failing: set[str] = set()
        self._threads = [
            threading.Thread(target=self._work, args=each, name="surefoot-metrics", daemon=True)
            for each in targets.items()
        ]

    def start(self) -> None:
        for thread in self._threads:
            thread.start()

    def end(self) -> None:
        """Send once more, and no longer."""
        self._is_over.set()

    def join(self, until: float) -> None:
        """Wait for that, until a time of the monotonic clock at most."""
        for thread in self._threads:
            thread.join(max(0.0, until - time.monotonic()))

    def _work(self, name: str, target: Callable[[], Target]) -> None:
        is_last = False
        while not is_last:
            is_last = self._is_over.wait(self._every)
            self._send(name, target)

    def _send(self, name: str, target: Callable[[], Target]) -> None:
        try:
            to = target()
            request = request_of(self._meter, to.resource, began_ns=self._began_ns, now_ns=time.time_ns())
            if request is not None:
                _deliver(request.SerializeToString(), to)
            self._failing.discard(name)
        except (ConfigError, ExportError, InvalidInput) as error:
            # The first of a row: an outage is one event.
            level = log.info if name in self._failing else log.warning
            self._failing.add(name)
            level("traces.%s: its metrics are not taken: %s", name, error)
        except Exception:
            log.exception("traces.%s: its metrics could not be sent", name)


def request_of(
    meter: Meter, resource: Mapping[str, str], *, began_ns: int, now_ns: int
) -> ExportMetricsServiceRequest | None:
    """What was counted from `began_ns` to `now_ns`, as an OTLP request; None where that is nothing."""
    read = meter.read()
    if not read:
        return None
    request = ExportMetricsServiceRequest()
    told = request.resource_metrics.add()
    # Each process counts for itself, and series of two are two.
    instance = {"service.instance.id": f"{socket.gethostname()}-{os.getpid()}-{began_ns}"}
    told.resource.attributes.extend(_attributes({**instance, **resource}.items()))
    scope_metrics = told.scope_metrics.add()
    scope_metrics.scope.name = "surefoot"
    for instrument, series in read:
        scope_metrics.metrics.append(_metric(instrument, series, began_ns, now_ns))
    return request


def _deliver(body: bytes, target: Target) -> None:
    """Raises `ExportError` where it was not taken."""
    url = target.url
    headers = {
        "user-agent": f"surefoot/{own_version()}",
        **target.headers,
        "content-type": "application/x-protobuf",
    }
    if target.is_compressed:
        body, headers["content-encoding"] = gzip.compress(body, mtime=0), "gzip"
    try:
        answer = post(url, body, headers=headers, timeout=_TIMEOUT_S)
    except OSError as error:
        raise ExportError(f"{url} cannot be reached: {error}") from error
    if not 200 <= answer.status < 300:
        raise ExportError(f"{url} answered with {answer.status}", status=answer.status)
    if problem := _rejected(answer.body):
        raise ExportError(f"{url} {problem}")


def _rejected(answer: bytes) -> str:
    """What a receiver says of metrics that it did not take; empty where it took all, or what it says is no protobuf."""
    try:
        partial = ExportMetricsServiceResponse.FromString(answer).partial_success
    except DecodeError:
        return ""
    count, why = partial.rejected_data_points, partial.error_message[:_SHOWN]
    return f"rejected {count} of them: {why!r}" if count else ""


def _metric(
    instrument: Instrument, series: Mapping[Labels, Value], began_ns: int, now_ns: int
) -> metrics_pb2.Metric:
    metric = metrics_pb2.Metric(name=instrument.name, description=instrument.told, unit=instrument.unit)
    for labels, value in series.items():
        attributes = _attributes(labels)
        if isinstance(value, Histogram):
            metric.histogram.aggregation_temporality = _CUMULATIVE
            metric.histogram.data_points.add(
                attributes=attributes,
                start_time_unix_nano=began_ns,
                time_unix_nano=now_ns,
                count=sum(value.counts),
                sum=value.total,
                bucket_counts=value.counts,
                explicit_bounds=instrument.bounds,
            )
        else:
            metric.sum.aggregation_temporality = _CUMULATIVE
            metric.sum.is_monotonic = True
            metric.sum.data_points.add(
                attributes=attributes,
                start_time_unix_nano=began_ns,
                time_unix_nano=now_ns,
                as_double=value,
            )
    return metric


def _attributes(pairs: Iterable[tuple[str, str]]) -> list[KeyValue]:
    return [
        KeyValue(key=name, value=AnyValue(string_value=text.encode("utf-8", "replace").decode()))
        for name, text in pairs
        if text
    ]
