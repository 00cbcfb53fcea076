// The certified npm package oidc-provider with everything on that the conformance modules ask about, and plain pages
// of its own: a sign-in form, a consent form, an error page.
// Usage: node certified_provider.mjs SETTINGS, where SETTINGS is JSON: port, issuer, clients (as the package takes
// them), user ({ name, password, claims }), acr, and certificate and key (PEM files) when it is to speak TLS itself;
// otherwise it believes the X-Forwarded-* of the proxy in front of it. With registers ({ version, token }) clients
// register themselves with the initial access token, at this major version of the package (6 reads request_uri and
// gives unsigned ID tokens, which 9 does not). With framed it is version 6 with frames, for sign-outs and sessions, which
// version 7 removed. Clients that are told of sign-outs are on this machine; whose certificates are believed is
// NODE_EXTRA_CA_CERTS.
// Two doors beside the protocol: POST /peer/rotate takes new signing keys (of version 6: what 9 stores is lost with
// them), POST /peer/clock?ahead=SECONDS moves the clock.
import { createServer } from "node:http";
import { createServer as createTlsServer } from "node:https";
import { createHash, generateKeyPairSync } from "node:crypto";
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";

const settings = JSON.parse(process.argv[2]);
const six = settings.framed || settings.registers?.version === 6;
const { Provider } = await import(six ? "oidc-provider-6" : "oidc-provider");

let ahead = 0;
const now = Date.now;
Date.now = () => now() + ahead * 1000;

const signingKey = (type, options, rest) => ({
  ...generateKeyPairSync(type, options).privateKey.export({ format: "jwk" }),
  use: "sig",
  ...rest,
});

const page = (title, body) =>
  `<!doctype html><html lang="en"><head><title>${title}</title></head><body><main>${body}</main></body></html>`;

const keys = [
  signingKey("rsa", { modulusLength: 2048 }, { alg: "RS256", kid: "rsa" }),
  signingKey("ec", { namedCurve: "P-256" }, { alg: "ES256", kid: "ec" }),
];

// What is on when clients register themselves.
const registering = {
  subjectTypes: ["public", "pairwise"],
  pairwiseIdentifier: (ctx, accountId, { sectorIdentifier }) =>
    createHash("sha256").update(`${sectorIdentifier} ${accountId}`).digest("hex"),
  allowOmittingSingleRegisteredRedirectUri: false,
};
const registeringFeatures = {
  registration: { enabled: true, initialAccessToken: settings.registers?.token },
  registrationManagement: { enabled: true },
  jwtUserinfo: { enabled: true },
};
const ofVersion = {
  6: {
    configuration: {
      whitelistedJWA: {
        idTokenSigningAlgValues: ["RS256", "ES256", "none"],
        requestObjectSigningAlgValues: ["RS256", "ES256", "none"],
      },
    },
    features: { requestObjects: { request: true, requestUri: true } },
  },
  9: { features: { requestObjects: { enabled: true } } },
};
const logout = settings.framed
  ? {
      frontchannelLogout: { enabled: true, ack: "draft-04" },
      sessionManagement: { enabled: true, ack: "draft-30" },
    }
  : { backchannelLogout: six ? { enabled: true, ack: "draft-06" } : { enabled: true } };
const { configuration, features } = ofVersion[settings.registers?.version] ?? {};

// Another one with other keys is the same provider: what version 6 stores is for all of a process.
const made = () => new Provider(settings.issuer, {
  ...(settings.registers && { ...registering, ...configuration }),
  // Without its own dispatcher, which connects to no loopback address. Version 6 has none.
  ...(!six && { fetch: (url, { dispatcher, ...options }) => fetch(url, options) }),
  clients: settings.clients,
  jwks: { keys },
  responseTypes: ["code", "id_token", "id_token token", "code id_token", "code token", "code id_token token"],
  scopes: ["openid", "offline_access"],
  claims: {
    openid: ["sub"],
    profile: [
      "name", "given_name", "family_name", "middle_name", "nickname", "preferred_username", "profile", "picture",
      "website", "gender", "birthdate", "zoneinfo", "locale", "updated_at",
    ],
    email: ["email", "email_verified"],
    address: ["address"],
    phone: ["phone_number", "phone_number_verified"],
  },
  acrValues: [settings.acr],
  features: {
    claimsParameter: { enabled: true },
    devInteractions: { enabled: false },
    ...logout,
    ...(settings.registers && { ...registeringFeatures, ...features }),
  },
  interactions: { url: (ctx, interaction) => `/interaction/${interaction.uid}` },
  findAccount: (ctx, id) => ({ accountId: id, claims: () => ({ sub: id, ...settings.user.claims }) }),
  // Authorization requests by POST come from other sites, and so do their cookies.
  enableHttpPostMethods: true,
  cookies: {
    keys: ["one key for the cookies of a peer that lives for a test"],
    long: { httpOnly: true, sameSite: "none", secure: true },
  },
  pkce: { required: () => false },
  renderError: (ctx, out) => {
    ctx.type = "html";
    ctx.body = page("Error", `<h1>Error</h1><p>${out.error}</p>`);
  },
});

// The frame for sessions loads SHA-256 from a content network, and something for old browsers from a host that is not to
// be asked. Here the first comes from this server; what it is, the frame checks by its hash (`integrity`).
const sha256 = settings.framed && readFileSync(createRequire(import.meta.url).resolve("jssha/src/sha256.js"));
async function withoutOtherHosts(ctx, next) {
  if (ctx.path === "/sha256.js") {
    ctx.type = "text/javascript";
    ctx.body = sha256;
    return;
  }
  await next();
  if (ctx.oidc?.route === "check_session") {
    ctx.body = ctx.body
      .replace("https://cdnjs.cloudflare.com/ajax/libs/jsSHA/2.3.1/sha256.js", "/sha256.js")
      .replace(/<script[^>]*polyfill\.io[^>]*><\/script>/, "");
  }
}

let provider, answer;
function begin() {
  provider = made();
  provider.proxy = !settings.certificate;
  provider.on("server_error", (ctx, error) => console.error(error));
  if (settings.framed) provider.use(withoutOtherHosts);
  answer = six ? provider.callback : provider.callback();
}
begin();

const escaped = (text) => text.replaceAll("&", "&amp;").replaceAll('"', "&quot;").replaceAll("<", "&lt;");

// What a client says of itself.
async function said({ params }) {
  const { logoUri, policyUri, tosUri } = await provider.Client.find(params.client_id);
  const link = (uri, text) => (uri ? `<a href="${escaped(uri)}">${text}</a>` : "");
  const logo = logoUri ? `<img src="${escaped(logoUri)}" alt="logo">` : "";
  return logo + link(policyUri, "Policy") + link(tosUri, "Terms");
}

const forms = {
  login: `<input name="login"><input name="password" type="password"><button type="submit" id="login">Sign in</button>`,
  consent: `<button type="submit" id="allow">Allow</button>`,
};

async function consented({ grantId, params, prompt, session }) {
  // Grants came with version 7.
  if (!provider.Grant) return { consent: {} };
  const grant = grantId
    ? await provider.Grant.find(grantId)
    : new provider.Grant({ accountId: session.accountId, clientId: params.client_id });
  if (prompt.details.missingOIDCScope) grant.addOIDCScope(prompt.details.missingOIDCScope.join(" "));
  if (prompt.details.missingOIDCClaims) grant.addOIDCClaims(prompt.details.missingOIDCClaims);
  return { consent: { grantId: await grant.save() } };
}

async function interact(request, response) {
  const details = await provider.interactionDetails(request, response);
  const name = details.prompt.name;
  if (request.method !== "POST") {
    response.setHeader("content-type", "text/html; charset=utf-8");
    const form = `<form method="post" action="${request.url}">${forms[name]}</form>`;
    response.end(page(name, `<h1>${name}</h1>${await said(details)}${form}`));
    return;
  }
  if (name === "consent") {
    await provider.interactionFinished(request, response, await consented(details));
    return;
  }
  let body = "";
  for await (const part of request) body += part;
  const form = new URLSearchParams(body);
  if (form.get("login") !== settings.user.name || form.get("password") !== settings.user.password) {
    response.statusCode = 401;
    response.end(page(name, "<h1>Wrong</h1>"));
    return;
  }
  // Version 6 asks for account, and the later ones for accountId.
  const login = { account: settings.user.name, accountId: settings.user.name, acr: settings.acr, amr: ["pwd"] };
  await provider.interactionFinished(request, response, { login }, { mergeWithLastSubmission: false });
}

const doors = {
  "/peer/rotate": () => {
    keys.unshift(signingKey("rsa", { modulusLength: 2048 }, { alg: "RS256", kid: `rsa-${keys.length}` }));
    begin();
  },
  "/peer/clock": (parameters) => {
    ahead = Number(parameters.get("ahead"));
  },
};

function serve(request, response) {
  const { pathname, searchParams } = new URL(request.url, settings.issuer);
  if (request.method === "POST" && doors[pathname]) {
    doors[pathname](searchParams);
    return response.end();
  }
  if (!request.url.startsWith("/interaction/")) return answer(request, response);
  return interact(request, response).catch((error) => {
    console.error(error);
    response.statusCode = 400;
    response.setHeader("content-type", "text/html; charset=utf-8");
    response.end(page("Error", "<h1>Error</h1>"));
  });
}

const server = settings.certificate
  ? createTlsServer({ cert: readFileSync(settings.certificate), key: readFileSync(settings.key) }, serve)
  : createServer(serve);
server.listen(settings.port, "127.0.0.1", () => console.log(`listening for ${settings.issuer}`));
