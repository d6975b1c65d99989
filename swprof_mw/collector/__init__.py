"""The embedded collector: receives what SkyWalking agents send, keeps the newest of it, answers OAP's GraphQL queries.

Needs the extra ``swprof-mw[collector]``; ``swprof_mw.collector.server.Collector`` is the way in.
"""
