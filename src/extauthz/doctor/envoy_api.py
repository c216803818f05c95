"""The messages of Envoy's API that are used here. Importing them warns about how they were made: not our business."""

import warnings

with warnings.catch_warnings():
    warnings.simplefilter("ignore", DeprecationWarning)
    from betterproto2 import Message
    from envoy_data_plane.envoy.config.bootstrap.v3 import Bootstrap
    from envoy_data_plane.envoy.config.cluster.v3 import Cluster
    from envoy_data_plane.envoy.config.common.mutation_rules.v3 import HeaderMutation as Mutation, HeaderMutationRules
    from envoy_data_plane.envoy.config.core.v3 import (
        ApiVersion,
        Http2ProtocolOptions,
        HttpProtocolOptionsHeadersWithUnderscoresAction as Underscores,
    )
    from envoy_data_plane.envoy.config.listener.v3 import Listener
    from envoy_data_plane.envoy.config.route.v3 import FilterConfig, RouteMatch
    from envoy_data_plane.envoy.extensions.filters.http.ext_authz.v3 import ExtAuthz, ExtAuthzPerRoute, HttpService
    from envoy_data_plane.envoy.extensions.filters.http.header_mutation.v3 import HeaderMutation
    from envoy_data_plane.envoy.extensions.filters.http.router.v3 import Router
    from envoy_data_plane.envoy.extensions.filters.network.http_connection_manager.v3 import (
        HttpConnectionManager,
        HttpConnectionManagerPathWithEscapedSlashesAction as EscapedSlashes,
    )
    from envoy_data_plane.envoy.extensions.http.early_header_mutation.header_mutation.v3 import (
        HeaderMutation as EarlyHeaderMutation,
    )
    from envoy_data_plane.envoy.extensions.upstreams.http.v3 import HttpProtocolOptions
    from envoy_data_plane.envoy.type.matcher.v3 import ListStringMatcher, RegexMatcher, StringMatcher
    from envoy_data_plane.envoy.type.v3 import StatusCode
    from envoy_data_plane.google.protobuf import Any as Packed
    from envoy_data_plane.message_pool import default_message_pool

__all__ = [
    "ApiVersion",
    "Bootstrap",
    "Cluster",
    "EarlyHeaderMutation",
    "EscapedSlashes",
    "ExtAuthz",
    "ExtAuthzPerRoute",
    "FilterConfig",
    "HeaderMutation",
    "HeaderMutationRules",
    "Http2ProtocolOptions",
    "HttpConnectionManager",
    "HttpProtocolOptions",
    "HttpService",
    "ListStringMatcher",
    "Listener",
    "Message",
    "Mutation",
    "Packed",
    "RegexMatcher",
    "RouteMatch",
    "Router",
    "StatusCode",
    "StringMatcher",
    "Underscores",
    "default_message_pool",
]
