"""A small OAuth 2.0 authorization server: client credentials, introspection (RFC 7662), revocation (RFC 7009).

A stranger to the rest of the package: the gateway side meets it over HTTP only, like any other authorization server.
"""
