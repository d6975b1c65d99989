"""The server of the web page: its files, GraphQL queries and exports, for the collector and for ``ui`` alike.

Needs Starlette and uvicorn, of the extra ``swprof-mw[collector]``; neither grpc nor graphql-core.
"""
