"""The settings as keyword arguments of the adapters' constructors: for type checkers and editors only.

What each one means, its range and its default are `swprof_mw.config`'s; this only mirrors the names. An adapter writes
``**settings: Unpack[Settings]``, with ``Unpack`` imported for the type checker alone: Python 3.10 has none.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import TypedDict

from swprof_mw.config import CodeSignature, TraceReport, Transport, UrlTag

Texts = str | list[str] | tuple[str, ...] | set[str] | frozenset[str]
"""Several texts: by commas, or as a collection."""

File = str | os.PathLike[str]
"""The path of a file."""


class Settings(TypedDict, total=False):
    """Each setting by its name, all of them optional; None counts as not given. Checked when the app is wrapped."""

    enabled: bool | None
    service_name: str | None
    instance_name: str | None
    namespace: str | None
    backend_services: Texts | None
    authentication: str | None
    force_tls: bool | None
    tls_ca: File | None
    tls_cert: File | None
    tls_key: File | None
    transport: Transport | None
    heartbeat_period: float | None
    instance_properties: Mapping[str, str | float | bool] | str | None
    profile_active: bool | None
    profile_task_query_interval: float | None
    profile_max_parallel: int | None
    profile_duration: float | None
    profile_dump_max_stack_depth: int | None
    profile_snapshot_transport_buffer_size: int | None
    profile_switch_interval: float | None
    trace_reporter_max_buffer_size: int | None
    profile_max_cpu: float | None
    profile_mark_waiting: bool | None
    trace_report: TraceReport | None
    long_lived_analysis: bool | None
    url_tag: UrlTag | None
    exception_messages: bool | None
    sample_n_per_3_secs: int | None
    trace_ignore_path: Texts | None
    ignore_methods: Texts | None
    endpoint_format: str | None
    code_signature: CodeSignature | None
