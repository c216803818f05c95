// A real authorization server for tests: node server.js settings.json
//
// The settings name the ports, the clients, the keys and the TLS files; the packages are found by NODE_PATH. Tokens for
// `.../jwt` resources are JWTs, all others are opaque. Beside client_credentials there is one grant of our own, which
// makes any token at once for any user: the ways that a browser would have to go are not what we test.
"use strict";

const { readFileSync } = require("node:fs");
const https = require("node:https");
const { Provider } = require("oidc-provider");

const LOOPBACK = "127.0.0.1";
const MINT = "urn:example:params:oauth:grant-type:mint";
const SECONDS = 3600;
const settings = JSON.parse(readFileSync(process.argv[2], "utf8"));

function resourceServer(_ctx, resource) {
  const accessTokenFormat = resource.endsWith("/jwt") ? "jwt" : "opaque";
  return {
    scope: settings.scopes.join(" "),
    audience: resource,
    accessTokenTTL: SECONDS,
    accessTokenFormat,
    jwt: { sign: { alg: "ES256" } },
  };
}

const provider = new Provider(settings.issuer, {
  clients: settings.clients,
  clientDefaults: { id_token_signed_response_alg: "ES256", introspection_signed_response_alg: "ES256" },
  jwks: settings.jwks,
  scopes: [...settings.scopes, "offline_access"],
  cookies: { keys: ["unused"] },
  clientAuthMethods: [
    "client_secret_basic",
    "client_secret_post",
    "client_secret_jwt",
    "private_key_jwt",
    "tls_client_auth",
    "none",
  ],
  enabledJWA: { clientAuthSigningAlgValues: ["HS256", "ES256", "RS256", "PS256"] },
  ttl: { AccessToken: SECONDS, ClientCredentials: SECONDS, RefreshToken: SECONDS, Grant: SECONDS },
  features: {
    clientCredentials: { enabled: true },
    devInteractions: { enabled: false },
    introspection: { enabled: true },
    jwtIntrospection: { enabled: true },
    revocation: { enabled: true },
    resourceIndicators: { enabled: true, getResourceServerInfo: resourceServer, useGrantedResource: () => true },
    mTLS: {
      enabled: true,
      tlsClientAuth: true,
      getCertificate: (ctx) => ctx.socket.getPeerX509Certificate?.()?.toString(),
      certificateAuthorized: (ctx) => ctx.socket.authorized === true,
      certificateSubjectMatches: (ctx, property, expected) =>
        property === "tls_client_auth_subject_dn" && ctx.socket.getPeerX509Certificate().subject === expected,
    },
  },
});

async function mint(ctx) {
  const { client, params } = ctx.oidc;
  const of = { client, accountId: params.sub };
  const grant = new provider.Grant({ accountId: params.sub, clientId: client.clientId });
  grant.addResourceScope(params.resource, params.scope);
  const grantId = await grant.save();
  const Token = params.kind === "refresh" ? provider.RefreshToken : provider.AccessToken;
  const token = new Token({ ...of, grantId, scope: params.scope, gty: "mint", expiresIn: Number(params.lifetime) });
  if (params.kind !== "refresh") {
    token.resourceServer = new provider.ResourceServer(params.resource, resourceServer(ctx, params.resource));
  }
  if (params.jkt) token.jkt = params.jkt;
  ctx.body = { access_token: await token.save() };
}

provider.registerGrantType(MINT, mint, ["kind", "sub", "scope", "resource", "lifetime", "jkt"]);
provider.on("server_error", (_ctx, error) => console.error(error));
provider.listen(settings.port, LOOPBACK);

const tls = { cert: readFileSync(settings.tls.certificate), key: readFileSync(settings.tls.key) };
const asksForCertificates = { ca: readFileSync(settings.tls.authority), requestCert: true, rejectUnauthorized: false };
https
  .createServer({ ...tls, ...asksForCertificates }, provider.callback())
  .listen(settings.tls.port, LOOPBACK, () => console.log("ready"));
