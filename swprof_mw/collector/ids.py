"""The ids by which SkyWalking knows services, instances and endpoints: base64 of their names, joined."""

from __future__ import annotations

import base64
import binascii

NORMAL_SERVICE = "1"
"""The part after a service id's dot: 1 for a service with an agent, 0 for one that was only seen as a peer."""

BLANK = "_blank"
"""What stands for an endpoint without a name, in its id and as what its requests are listed as."""


def encode(name: str) -> str:
    """Base64 of the name's UTF-8."""
    return base64.b64encode(name.encode()).decode()


def decode(text: str) -> str:
    """The name back from ``encode``. Raises ``ValueError`` for anything else."""
    try:
        return base64.b64decode(text, validate=True).decode()
    except (binascii.Error, UnicodeDecodeError) as error:
        raise ValueError(f"not the base64 of a name: {text!r}") from error


def service_id(name: str) -> str:
    """The id of the service of that name, ``c2hvcA==.1`` for ``shop``."""
    return f"{encode(name)}.{NORMAL_SERVICE}"


def instance_id(service: str, instance: str) -> str:
    """The id of an instance; both arguments are names."""
    return f"{service_id(service)}_{encode(instance)}"


def endpoint_id(service: str, endpoint: str) -> str:
    """The id of an endpoint; both arguments are names."""
    return f"{service_id(service)}_{encode(endpoint or BLANK)}"


def service_name(identifier: str) -> str:
    """The name in a service's id. Raises ``ValueError`` if it is no such id."""
    name, dot, _ = identifier.rpartition(".")
    if not dot:
        raise ValueError(f"can't split service id into 2 parts, {identifier!r}")
    return decode(name)


def exact_service_name(identifier: str) -> str:
    """The name in the id of a service that reports. Raises ``ValueError`` for any other id."""
    name = service_name(identifier)
    if service_id(name) != identifier:
        raise ValueError(f"not the id of a service that reports: {identifier!r}")
    return name
