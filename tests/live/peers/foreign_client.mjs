// A relying party nobody here wrote: the certified npm package openid-client, driven over standard input. The package
// jose, by its author, reads access tokens as an API would.
// It reads one JSON object a line and answers with one. {"step": "configure", …} says which client it is from then on,
// reads discovery and keeps every check on; {"step": "start"} gives the authorization URL, {"step": "callback", "url": …}
// finishes the flow; the other steps are named after what they do with the tokens of the last one.
import readline from "node:readline";
import * as jose from "jose";
import * as client from "openid-client";

const authentications = {
  client_secret_basic: () => client.ClientSecretBasic(settings.client_secret),
  client_secret_post: () => client.ClientSecretPost(settings.client_secret),
  client_secret_jwt: () => client.ClientSecretJwt(settings.client_secret),
  private_key_jwt: async () =>
    client.PrivateKeyJwt({ key: await jose.importJWK(settings.signing_key), kid: settings.signing_key.kid }),
  none: () => client.None(),
};
const responseTypes = {
  code: () => {},
  "code id_token": client.useCodeIdTokenResponseType,
  id_token: client.useIdTokenResponseType,
};

let settings;
let configuration;
let verifier;
let state;
let nonce;
let device;
let tokens;
let subject;

function keep(response) {
  tokens = response;
  subject = response.claims()?.sub ?? subject;
  return {
    claims: response.claims(),
    header: response.id_token && jose.decodeProtectedHeader(response.id_token),
    members: Object.keys(response).sort(),
    scope: response.scope,
  };
}

const steps = {
  async configure(given) {
    settings = given;
    configuration = await client.discovery(
      new URL(settings.issuer),
      settings.client_id,
      settings.metadata ?? {},
      await authentications[settings.method](),
      {
        algorithm: settings.discovery ?? "oidc",
        // Signatures are checked as well where TLS would do.
        execute: [client.allowInsecureRequests, client.enableNonRepudiationChecks],
      },
    );
    responseTypes[settings.response_type ?? "code"](configuration);
    if (settings.encryption_key) {
      const { kid, alg } = settings.encryption_key;
      const key = await jose.importJWK(settings.encryption_key);
      client.enableDecryptingResponses(configuration, settings.content_algorithms, { key, kid, alg });
    }
    subject = undefined;
    return { metadata: configuration.serverMetadata() };
  },
  async register(given) {
    settings = given;
    configuration = await client.dynamicClientRegistration(
      new URL(settings.issuer),
      settings.metadata,
      // With the secret that comes of it.
      await authentications[settings.method](),
      {
        initialAccessToken: settings.token,
        execute: [client.allowInsecureRequests, client.enableNonRepudiationChecks],
      },
    );
    subject = undefined;
    return { told: configuration.clientMetadata() };
  },
  async start({ parameters = {} }) {
    verifier = client.randomPKCECodeVerifier();
    state = client.randomState();
    nonce = client.randomNonce();
    const pkce = {
      code_challenge: await client.calculatePKCECodeChallenge(verifier),
      code_challenge_method: "S256",
    };
    const asked = {
      redirect_uri: settings.redirect_uri,
      scope: settings.scope,
      state,
      nonce,
      ...(settings.response_type === "id_token" ? {} : pkce),
      ...parameters,
    };
    if (settings.request_key) {
      const key = { key: await jose.importJWK(settings.request_key), kid: settings.request_key.kid };
      return { url: (await client.buildAuthorizationUrlWithJAR(configuration, asked, key)).href };
    }
    return { url: client.buildAuthorizationUrl(configuration, asked).href };
  },
  async callback({ url, body, max_age }) {
    const input = body
      ? new Request(url, {
          method: "POST",
          headers: { "content-type": "application/x-www-form-urlencoded" },
          body,
        })
      : new URL(url);
    if (settings.response_type === "id_token") {
      return { claims: await client.implicitAuthentication(configuration, input, nonce, { expectedState: state }) };
    }
    return keep(
      await client.authorizationCodeGrant(configuration, input, {
        pkceCodeVerifier: verifier,
        expectedState: state,
        expectedNonce: nonce,
        idTokenExpected: true,
        ...(max_age ? { maxAge: Number(max_age) } : {}),
      }),
    );
  },
  async refresh() {
    const before = tokens.refresh_token;
    const told = keep(await client.refreshTokenGrant(configuration, before));
    return { ...told, rotated: tokens.refresh_token !== before };
  },
  async client_credentials({ parameters }) {
    return keep(await client.clientCredentialsGrant(configuration, parameters));
  },
  async grant({ type, parameters }) {
    return keep(await client.genericGrantRequest(configuration, type, parameters));
  },
  async device() {
    device = await client.initiateDeviceAuthorization(configuration, { scope: settings.scope });
    return device;
  },
  async poll() {
    return keep(await client.pollDeviceAuthorizationGrant(configuration, device));
  },
  async userinfo() {
    return { claims: await client.fetchUserInfo(configuration, tokens.access_token, subject) };
  },
  async introspect({ token }) {
    return client.tokenIntrospection(configuration, token);
  },
  async revoke({ name }) {
    await client.tokenRevocation(configuration, tokens[name], { token_type_hint: name });
    return { revoked: true };
  },
  async token({ name }) {
    return { token: tokens[name] };
  },
  async read_access_token({ audience }) {
    const keys = jose.createRemoteJWKSet(new URL(configuration.serverMetadata().jwks_uri));
    const { payload, protectedHeader } = await jose.jwtVerify(tokens.access_token, keys, {
      issuer: configuration.serverMetadata().issuer,
      audience,
      typ: "at+jwt",
      algorithms: ["RS256"],
      requiredClaims: ["iss", "exp", "aud", "sub", "client_id", "iat", "jti"],
    });
    return { claims: payload, header: protectedHeader };
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
