// A relying party nobody here wrote: the certified npm package openid-client, driven over standard input.
// It reads one JSON object a line and answers with one: {"step": "start"} gives the authorization URL,
// {"step": "callback", "url": …} finishes the flow, {"step": "refresh"} uses the refresh token,
// {"step": "userinfo"} reads the claims, {"step": "logout", …} gives the end-session URL.
import readline from "node:readline";
import * as client from "openid-client";

const settings = JSON.parse(process.argv[2]);
const authentication = {
  client_secret_basic: () => client.ClientSecretBasic(settings.client_secret),
  client_secret_post: () => client.ClientSecretPost(settings.client_secret),
  none: () => client.None(),
}[settings.method]();

let configuration;
let verifier;
let state;
let nonce;
let tokens;

const steps = {
  async start({ parameters = {} }) {
    configuration = await client.discovery(new URL(settings.issuer), settings.client_id, {}, authentication, {
      algorithm: settings.algorithm ?? "oidc",
      execute: [client.allowInsecureRequests],
    });
    verifier = client.randomPKCECodeVerifier();
    state = client.randomState();
    nonce = client.randomNonce();
    const url = client.buildAuthorizationUrl(configuration, {
      redirect_uri: settings.redirect_uri,
      scope: settings.scope,
      code_challenge: await client.calculatePKCECodeChallenge(verifier),
      code_challenge_method: "S256",
      state,
      nonce,
      ...parameters,
    });
    return { url: url.href, metadata: configuration.serverMetadata() };
  },
  async callback({ url, body }) {
    const input = body
      ? new Request(url, {
          method: "POST",
          headers: { "content-type": "application/x-www-form-urlencoded" },
          body,
        })
      : new URL(url);
    tokens = await client.authorizationCodeGrant(configuration, input, {
      pkceCodeVerifier: verifier,
      expectedState: state,
      expectedNonce: nonce,
      idTokenExpected: true,
    });
    return { claims: tokens.claims(), has_refresh_token: Boolean(tokens.refresh_token), scope: tokens.scope };
  },
  async refresh() {
    const before = tokens.refresh_token;
    tokens = await client.refreshTokenGrant(configuration, before);
    return { rotated: tokens.refresh_token !== before, access_token: Boolean(tokens.access_token) };
  },
  async userinfo() {
    return { claims: await client.fetchUserInfo(configuration, tokens.access_token, client.skipSubjectCheck) };
  },
  async logout({ parameters }) {
    return {
      url: client.buildEndSessionUrl(configuration, { id_token_hint: tokens.id_token, ...parameters }).href,
    };
  },
};

for await (const line of readline.createInterface({ input: process.stdin })) {
  const { step, ...rest } = JSON.parse(line);
  try {
    console.log(JSON.stringify(await steps[step](rest)));
  } catch (error) {
    console.log(JSON.stringify({ error: error.error ?? error.code ?? error.name, message: error.message, cause: String(error.cause ?? "") }));
  }
}
