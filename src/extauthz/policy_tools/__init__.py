"""Tools about a policy: what is doubtful in it, why a request ends as it does, what a change changes. All of it is pure.

Nothing here matches or decides by itself: every tool asks `extauthz.authorizer` and `RouteTable.match`.
"""
