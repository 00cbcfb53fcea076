// The certified npm package oidc-provider with everything on that the conformance modules ask about, and plain pages
// of its own: a sign-in form, a consent form, an error page.
// Usage: node certified_provider.mjs SETTINGS, where SETTINGS is JSON: port, issuer, clients (as the package takes
// them), user ({ name, password, claims }), acr, and certificate and key (PEM files) when it is to speak TLS itself;
// otherwise it believes the X-Forwarded-* of the proxy in front of it.
import { createServer } from "node:http";
import { createServer as createTlsServer } from "node:https";
import { generateKeyPairSync } from "node:crypto";
import { readFileSync } from "node:fs";
import Provider from "oidc-provider";

const settings = JSON.parse(process.argv[2]);

const signingKey = (type, options, rest) => ({
  ...generateKeyPairSync(type, options).privateKey.export({ format: "jwk" }),
  use: "sig",
  ...rest,
});

const page = (title, body) =>
  `<!doctype html><html lang="en"><head><title>${title}</title></head><body><main>${body}</main></body></html>`;

const provider = new Provider(settings.issuer, {
  clients: settings.clients,
  jwks: {
    keys: [
      signingKey("rsa", { modulusLength: 2048 }, { alg: "RS256", kid: "rsa" }),
      signingKey("ec", { namedCurve: "P-256" }, { alg: "ES256", kid: "ec" }),
    ],
  },
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
provider.proxy = !settings.certificate;

const forms = {
  login: `<input name="login"><input name="password" type="password"><button type="submit" id="login">Sign in</button>`,
  consent: `<button type="submit" id="allow">Allow</button>`,
};

async function consented({ grantId, params, prompt, session }) {
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
    response.end(page(name, `<h1>${name}</h1><form method="post" action="${request.url}">${forms[name]}</form>`));
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
  const login = { accountId: settings.user.name, acr: settings.acr, amr: ["pwd"] };
  await provider.interactionFinished(request, response, { login }, { mergeWithLastSubmission: false });
}

const answer = provider.callback();
function serve(request, response) {
  if (!request.url.startsWith("/interaction/")) return answer(request, response);
  return interact(request, response).catch((error) => {
    console.error(error);
    response.statusCode = 400;
    response.setHeader("content-type", "text/html; charset=utf-8");
    response.end(page("Error", "<h1>Error</h1>"));
  });
}

provider.on("server_error", (ctx, error) => console.error(error));
const server = settings.certificate
  ? createTlsServer({ cert: readFileSync(settings.certificate), key: readFileSync(settings.key) }, serve)
  : createServer(serve);
server.listen(settings.port, "127.0.0.1", () => console.log(`listening for ${settings.issuer}`));
