// Token introspection with njs, as NGINX's own articles describe it: auth_request asks this function, which asks the
// authorization server through a location with a cache. Written for this benchmark; it knows no scopes and no routes.
export default { introspect };

async function introspect(r) {
    if (!r.variables.bearer) {
        r.return(401);
        return;
    }
    const reply = await r.subrequest('/_introspection');
    if (reply.status !== 200) {
        r.return(500);
        return;
    }
    const token = JSON.parse(reply.responseText);
    if (token.active !== true) {
        r.return(401);
        return;
    }
    r.headersOut['X-Auth-Sub'] = token.sub;
    r.headersOut['X-Auth-Scope'] = token.scope;
    r.return(204);
}
