"""The store's tables, as the steps that lead from one version of the file to the next."""

from __future__ import annotations

import sqlite3

APPLICATION = 0x53575046
"""Marks a file as a store of the collector's, in SQLite's ``application_id``: the letters ``SWPF``."""

_FIRST = """
CREATE TABLE service (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, layer TEXT);
CREATE TABLE instance (
    id INTEGER PRIMARY KEY, service INTEGER NOT NULL, name TEXT NOT NULL, first_seen INTEGER NOT NULL,
    last_seen INTEGER NOT NULL, language TEXT NOT NULL, properties TEXT NOT NULL, UNIQUE (service, name));
CREATE TABLE endpoint (
    id INTEGER PRIMARY KEY, service INTEGER NOT NULL, name TEXT NOT NULL, first_seen INTEGER NOT NULL,
    UNIQUE (service, name));

CREATE TABLE segment (
    id INTEGER PRIMARY KEY, segment_id TEXT NOT NULL UNIQUE, trace_id TEXT NOT NULL, service TEXT NOT NULL,
    instance TEXT NOT NULL, endpoint TEXT NOT NULL, start INTEGER NOT NULL, duration INTEGER NOT NULL,
    is_error INTEGER NOT NULL, tags TEXT NOT NULL, weight INTEGER NOT NULL, received INTEGER NOT NULL,
    profile INTEGER);
CREATE INDEX segment_of_service ON segment (service, id, weight) WHERE profile IS NULL;
CREATE INDEX segment_by_age ON segment (id, received) WHERE profile IS NULL;
CREATE INDEX segment_of_profile ON segment (profile) WHERE profile IS NOT NULL;
CREATE INDEX segment_by_start ON segment (start);
CREATE INDEX segment_of_trace ON segment (trace_id);
CREATE TABLE spans (id INTEGER PRIMARY KEY, spans TEXT NOT NULL);

CREATE TABLE profile (
    id INTEGER PRIMARY KEY, segment_id TEXT NOT NULL UNIQUE, task_id TEXT NOT NULL, snapshots INTEGER NOT NULL,
    weight INTEGER NOT NULL, received INTEGER NOT NULL);
CREATE TABLE snapshot (
    profile INTEGER NOT NULL, sequence INTEGER NOT NULL, time INTEGER NOT NULL, stack INTEGER NOT NULL,
    task_id TEXT, PRIMARY KEY (profile, sequence)) WITHOUT ROWID;
CREATE TABLE stack (id INTEGER PRIMARY KEY, digest BLOB NOT NULL UNIQUE, frames BLOB NOT NULL, uses INTEGER NOT NULL);
CREATE TABLE frame (id INTEGER PRIMARY KEY, digest BLOB NOT NULL UNIQUE, text TEXT NOT NULL, uses INTEGER NOT NULL);

CREATE TABLE task (
    id INTEGER PRIMARY KEY, task_id TEXT NOT NULL UNIQUE, service_id TEXT NOT NULL, endpoint TEXT NOT NULL,
    start INTEGER NOT NULL, duration INTEGER NOT NULL, min_duration_threshold INTEGER NOT NULL,
    dump_period INTEGER NOT NULL, max_sampling_count INTEGER NOT NULL, created INTEGER NOT NULL);
CREATE TABLE task_log (
    id INTEGER PRIMARY KEY, task_id TEXT NOT NULL, service TEXT NOT NULL, instance TEXT NOT NULL,
    operation TEXT NOT NULL, time INTEGER NOT NULL);
CREATE INDEX task_log_of_task ON task_log (task_id, id);
"""

# Which task a profile belongs to is the task of its snapshot number 0: found without a look at each profile's.
_SECOND = """
ALTER TABLE profile ADD COLUMN first_task TEXT;
UPDATE profile SET first_task = (
    SELECT coalesce(snapshot.task_id, profile.task_id) FROM snapshot
    WHERE snapshot.profile = profile.id AND snapshot.sequence = 0);
CREATE INDEX profile_of_task ON profile (first_task);
"""

STEPS = (_FIRST, _SECOND)
"""The step at index n leads from version n to version n + 1. A step that was released is never changed."""

VERSION = len(STEPS)


def migrate(connection: sqlite3.Connection, version: int) -> None:
    """Lead the file from ``version`` to the newest, within the transaction that is open."""
    for number, step in enumerate(STEPS[version:], start=version + 1):
        for statement in step.split(";\n"):
            connection.execute(statement)
        connection.execute(f"PRAGMA user_version = {number}")
    connection.execute(f"PRAGMA application_id = {APPLICATION}")
