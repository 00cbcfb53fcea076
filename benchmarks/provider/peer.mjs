// The certified npm package oidc-provider as a peer: everything in memory, and nobody asked for consent.
// Usage: node peer.mjs SETTINGS, where SETTINGS is JSON: port, issuer, clients (as the package takes them), apis
// (audience -> signing algorithm), user, and password.
import { createServer } from "node:http";
import { generateKeyPairSync } from "node:crypto";
import Provider from "oidc-provider";

const settings = JSON.parse(process.argv[2]);
const key = (type, options, rest) => ({
  ...generateKeyPairSync(type, options).privateKey.export({ format: "jwk" }),
  use: "sig",
  ...rest,
});

const provider = new Provider(settings.issuer, {
  clients: settings.clients,
  jwks: {
    keys: [
      key("rsa", { modulusLength: 2048 }, { alg: "RS256", kid: "rsa" }),
      key("ec", { namedCurve: "P-256" }, { alg: "ES256", kid: "ec" }),
    ],
  },
  features: {
    clientCredentials: { enabled: true },
    devInteractions: { enabled: false },
    resourceIndicators: {
      enabled: true,
      getResourceServerInfo: (ctx, audience) => ({
        audience,
        scope: "read",
        accessTokenFormat: "jwt",
        accessTokenTTL: 3600,
        jwt: { sign: { alg: settings.apis[audience] } },
      }),
    },
  },
  claims: { openid: ["sub"], profile: ["name"], email: ["email"] },
  findAccount: (ctx, id) => ({ accountId: id, claims: () => ({ sub: id, name: id, email: `${id}@example.com` }) }),
  async loadExistingGrant(ctx) {
    const { client, session } = ctx.oidc;
    const known = session.grantIdFor(client.clientId);
    if (known) return provider.Grant.find(known);
    const grant = new provider.Grant({ clientId: client.clientId, accountId: session.accountId });
    grant.addOIDCScope("openid profile email");
    await grant.save();
    return grant;
  },
  interactions: { url: (ctx, interaction) => `/sign-in/${interaction.uid}` },
  cookies: { keys: ["one key for the cookies of a peer that lives for a benchmark"] },
  pkce: { required: () => false },
});

const answer = provider.callback();
createServer(async (request, response) => {
  if (request.url.startsWith("/after")) return response.end("signed in");
  if (!request.url.startsWith("/sign-in/")) return answer(request, response);
  await provider.interactionFinished(request, response, { login: { accountId: settings.user } });
}).listen(settings.port, "127.0.0.1", () => console.log(`listening for ${settings.issuer}`));
