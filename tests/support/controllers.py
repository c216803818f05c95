"""What two controllers for Kubernetes that are NGINX underneath make of our files, as far as asking goes."""

import re

_SITE = """
pid nginx.pid; lock_file nginx.lock; error_log stderr warn;
events {}
http {
    access_log off;
    client_body_temp_path body; proxy_temp_path proxy; fastcgi_temp_path fastcgi; uwsgi_temp_path uwsgi; scgi_temp_path scgi;
    server {
        listen 127.0.0.1:%(port)d;
        location / {
            auth_request /_external-auth;
            auth_request_set $auth_sub   $upstream_http_x_auth_sub;
            auth_request_set $auth_scope $upstream_http_x_auth_scope;
            proxy_set_header X-Auth-Sub   $auth_sub;
            proxy_set_header X-Auth-Scope $auth_scope;
            proxy_set_header Host         $http_host;
            proxy_http_version 1.1;
            proxy_pass http://127.0.0.1:%(app)d;
        }
        location = /_external-auth {
            internal;
            proxy_pass_request_body off;
            proxy_http_version 1.1;
            proxy_set_header Content-Length "";
            %(question)s
        }
    }
}
"""
_INGRESS_NGINX = """
            proxy_set_header X-Forwarded-Proto       "";
            proxy_set_header Host                    extauthz.auth.svc;
            proxy_set_header X-Original-URL          $scheme://$http_host$request_uri;
            proxy_set_header X-Original-Method       $request_method;
            proxy_set_header X-Sent-From             "nginx-ingress-controller";
            proxy_set_header X-Auth-Request-Redirect $request_uri;
            proxy_method     GET;
            proxy_set_header X-Original-URI          $request_uri;
            proxy_set_header X-Original-Host         $host;
            proxy_pass_request_headers on;
            proxy_pass http://127.0.0.1:%(authorizer)d/nginx;
"""
_GATEWAY_FABRIC = """
            proxy_pass_request_headers off;
            proxy_set_header Authorization $http_authorization;
            proxy_set_header Host          $http_host;
            proxy_set_header Method        $request_method;
            proxy_set_header Path          $request_uri;
            proxy_pass http://127.0.0.1:%(authorizer)d/gateway-api;
"""
_BARE = "".join(
    line for line in _INGRESS_NGINX.splitlines(keepends=True) if not re.search("X-Original-(URI|Host)", line)
)
"""ingress-nginx without the two annotations that make it send these headers itself."""

CONTROLLERS = {"ingress-nginx": _INGRESS_NGINX, "nginx gateway fabric": _GATEWAY_FABRIC, "ingress-nginx, bare": _BARE}
"""The question that each asks, by its name."""


def site(controller: str, *, port: int, app: int, authorizer: int) -> str:
    """An nginx.conf that asks as the controller does."""
    question = CONTROLLERS[controller] % {"authorizer": authorizer}
    return _SITE % {"port": port, "app": app, "question": question}
