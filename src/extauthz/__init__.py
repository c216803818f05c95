"""External authorization for Envoy and NGINX, by OAuth2 token introspection."""

__version__ = "0.1.0"
