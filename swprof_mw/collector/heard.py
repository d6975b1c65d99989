"""The services, instances and endpoints that were heard of, as tables: bounded, the longest known go first."""

from __future__ import annotations

import json
import sqlite3

from swprof_mw.collector.records import Endpoint, Instance, KeyValues, Service, weigh

MOST_PROPERTIES = 100
PROPERTIES_SIZE = 20 * 1024
"""How many of an instance are kept, and of how many bytes together, roughly: the newest."""

IN_ALL = 20
"""So many times what a service may have of names, and a task of logs, there may be of all of them together."""

_TABLES = ("instance", "endpoint")


class Heard:
    """Changes the tables, within the transaction of the caller.

    Args:
        writer: the connection.
        names: services, and for each of them instances and endpoints.
    """

    def __init__(self, writer: sqlite3.Connection, names: int) -> None:
        self._writer, self._max = writer, names
        self.load()

    def load(self) -> None:
        """What was noted of the tables may be wrong."""
        self._grown = True

    def see(self, service: str, instance: str, now: int, layer: str | None = None) -> list[str]:
        """A process was heard of; without a layer that alone makes its service not known. The services forgotten."""
        number = self._service(service, layer)
        known = "UPDATE instance SET last_seen = ? WHERE service = ? AND name = ?"
        if self._writer.execute(known, (now, number, instance)).rowcount:
            return []
        self._writer.execute(
            "INSERT INTO instance (service, name, first_seen, last_seen, language, properties)"
            " VALUES (?, ?, ?, ?, 'UNKNOWN', '[]')",
            (number, instance, now, now),
        )
        self._grown = True
        self._bound_table("instance", number)
        return self._bound_services()

    def describe(self, service: str, instance: str, language: str | None, properties: KeyValues) -> None:
        """Add to the properties of a process that was seen."""
        found = self._writer.execute(
            "SELECT id, properties FROM instance WHERE service = (SELECT id FROM service WHERE name = ?) AND name = ?",
            (service, instance),
        ).fetchone()
        if found is not None:
            merged = _newest(tuple({**dict(_pairs(found[1])), **dict(properties)}.items()))
            self._writer.execute(
                "UPDATE instance SET language = coalesce(?, language), properties = ? WHERE id = ?",
                (language, json.dumps(merged, ensure_ascii=False), found[0]),
            )

    def name(self, service: str, endpoints: list[str], now: int) -> None:
        """Keep endpoints of a service that was seen."""
        for name in endpoints:
            new = self._writer.execute(
                "INSERT OR IGNORE INTO endpoint (service, name, first_seen)"
                " SELECT id, ?, ? FROM service WHERE name = ?",
                (name, now, service),
            )
            if new.rowcount:
                self._grown = True
                self._bound_table("endpoint", self._number(service) or 0)

    def bound(self) -> list[str]:
        """A service that has too many names loses them, not those that live beside it. The services forgotten."""
        forgotten: list[str] = []
        if not self._grown:  # to count them takes longer than all else
            return forgotten
        while self._count_all() > IN_ALL * self._max:
            [most] = self._writer.execute(
                "SELECT service FROM (SELECT service FROM instance UNION ALL SELECT service FROM endpoint)"
                " GROUP BY service ORDER BY count(*) DESC, service LIMIT 1"
            ).fetchone()
            forgotten.append(self._forget(most))
        self._grown = False
        return forgotten

    def expire(self, before: int) -> None:
        """Drop the processes last heard of before that time, and the services of which nothing is left."""
        self._writer.execute("DELETE FROM instance WHERE last_seen < ?", (before,))
        left = self._writer.execute(
            "SELECT id FROM service WHERE id NOT IN (SELECT service FROM instance)"
            " AND NOT EXISTS (SELECT 1 FROM segment WHERE segment.service = service.name AND profile IS NULL)"
        ).fetchall()
        for (number,) in left:
            self._forget(number)

    def is_known(self, service: str) -> bool:
        """Whether anything of it was heard."""
        return self._number(service) is not None

    def _number(self, service: str) -> int | None:
        found = self._writer.execute("SELECT id FROM service WHERE name = ?", (service,)).fetchone()
        return found[0] if found else None

    def _service(self, service: str, layer: str | None) -> int:
        found = self._writer.execute("SELECT id, layer FROM service WHERE name = ?", (service,)).fetchone()
        if found is None:
            made = self._writer.execute("INSERT INTO service (name, layer) VALUES (?, ?)", (service, layer))
            return made.lastrowid or 0
        if found[1] is None and layer is not None:
            self._writer.execute("UPDATE service SET layer = ? WHERE id = ?", (layer, found[0]))
        number: int = found[0]
        return number

    def _bound_table(self, table: str, service: int) -> None:
        """Drop the oldest names of a service beyond those it may have."""
        self._writer.execute(
            f"DELETE FROM {table} WHERE id IN"  # noqa: S608
            f" (SELECT id FROM {table} WHERE service = ? ORDER BY id DESC LIMIT -1 OFFSET ?)",
            (service, self._max),
        )

    def _bound_services(self) -> list[str]:
        surplus = self._writer.execute("SELECT id FROM service ORDER BY id DESC LIMIT -1 OFFSET ?", (self._max,))
        return [self._forget(number) for (number,) in surplus.fetchall()]

    def _count_all(self) -> int:
        counts = (self._writer.execute(f"SELECT count(*) FROM {table}").fetchone()[0] for table in _TABLES)  # noqa: S608
        return sum(counts)

    def _forget(self, number: int) -> str:
        [name] = self._writer.execute("SELECT name FROM service WHERE id = ?", (number,)).fetchone()
        for table in _TABLES:
            self._writer.execute(f"DELETE FROM {table} WHERE service = ?", (number,))  # noqa: S608
        self._writer.execute("DELETE FROM service WHERE id = ?", (number,))
        return str(name)


def services(reader: sqlite3.Connection) -> list[Service]:
    """The services that were heard of, the longest known first."""
    return [Service(*row) for row in reader.execute("SELECT name, layer FROM service WHERE layer NOTNULL ORDER BY id")]


def instances(reader: sqlite3.Connection, service: str) -> list[Instance]:
    """The processes of a service, the longest known first."""
    rows = reader.execute(
        "SELECT name, first_seen, last_seen, language, properties FROM instance"
        " WHERE service = (SELECT id FROM service WHERE name = ?) ORDER BY id",
        (service,),
    )
    return [Instance(*[service, *told, _pairs(properties)]) for *told, properties in rows]


def endpoints(reader: sqlite3.Connection, service: str) -> list[Endpoint]:
    """The endpoints of a service, the longest known first."""
    rows = reader.execute(
        "SELECT name, first_seen FROM endpoint WHERE service = (SELECT id FROM service WHERE name = ?) ORDER BY id",
        (service,),
    )
    return [Endpoint(service, *row) for row in rows]


def _pairs(text: str) -> KeyValues:
    return tuple((name, value) for name, value in json.loads(text))


def _newest(properties: KeyValues) -> KeyValues:
    properties = properties[-MOST_PROPERTIES:]
    while weigh(properties) > PROPERTIES_SIZE:
        properties = properties[1:]
    return properties
