// A relying party nobody here wrote, as a site: the certified npm package openid-client signs people in, the package
// jose, by its author, reads logout tokens. For the modules of tests/conformance/rp.
// Usage: node relying_party.mjs SETTINGS, where SETTINGS is JSON: port, client_id, client_secret, certificate and key
// (PEM files), and ahead, a file that says by how many seconds its clock goes ahead.
// GET /login?iss= signs in (OIDC Core 4 with target_link_uri and login_hint), /page is for whoever has and says what
// is known of them, POST /logout signs out, POST /backchannel?iss= takes logout tokens, /frontchannel?iss=&sid= is what
// a provider loads in a frame, and /watched a page whose own frame, /watch, asks the provider's.
// With &lie=NAME it is another relying party, whose checks are written out below, and which does one thing wrong.
import { randomUUID } from "node:crypto";
import { readFileSync } from "node:fs";
import { createServer } from "node:https";
import * as jose from "jose";
import * as client from "openid-client";

const settings = JSON.parse(process.argv[2]);
const base = `https://localhost:${settings.port}`;
const redirectUri = `${base}/callback`;
const loggedOut = `${base}/logged-out`;
const event = "http://schemas.openid.net/event/backchannel-logout";

const basic = `Basic ${btoa(`${settings.client_id}:${settings.client_secret}`)}`;
const logins = new Map();
const sessions = new Map();

class Refused extends Error {}

function need(holds, what) {
  if (!holds) throw new Refused(what);
}

const now = () => Date.now() / 1000 + Number(readFileSync(settings.ahead));

const fetched = async (url, options) => {
  const response = await fetch(url, options);
  need(response.ok, `${url} answers ${response.status}`);
  return response.json();
};

// A query, unless the provider has no such answers.
const modeOf = ({ response_modes_supported: modes }) => (modes?.includes("query") ?? true ? "query" : "form_post");

// As it should be.
const right = {
  async begin(login) {
    login.configuration = await client.discovery(
      new URL(login.issuer),
      settings.client_id,
      {},
      client.ClientSecretBasic(settings.client_secret),
      { execute: [client.enableNonRepudiationChecks] },
    );
    login.mode = modeOf(login.configuration.serverMetadata());
    return client.buildAuthorizationUrl(login.configuration, {
      ...(login.hint ? { login_hint: login.hint } : {}),
      ...(login.mode === "form_post" ? { response_mode: login.mode } : {}),
      redirect_uri: redirectUri,
      scope: "openid profile email",
      state: login.state,
      nonce: login.nonce,
      code_challenge: await client.calculatePKCECodeChallenge(login.verifier),
      code_challenge_method: "S256",
    });
  },
  async finish(login, url) {
    const tokens = await client.authorizationCodeGrant(login.configuration, url, {
      pkceCodeVerifier: login.verifier,
      expectedState: login.state,
      expectedNonce: login.nonce,
      idTokenExpected: true,
    });
    const { sub, sid } = tokens.claims();
    const claims = await client.fetchUserInfo(login.configuration, tokens.access_token, sub);
    return { sub, sid, claims, tokens, idToken: tokens.id_token, configuration: login.configuration };
  },
  async signOut({ configuration, idToken }, state) {
    return client.buildEndSessionUrl(configuration, {
      id_token_hint: idToken,
      post_logout_redirect_uri: loggedOut,
      state,
    });
  },
  async renew({ configuration, sub, tokens }) {
    const renewed = await client.refreshTokenGrant(configuration, tokens.refresh_token);
    need((renewed.claims()?.sub ?? sub) === sub, "sub of the new ID token");
    return renewed;
  },
};

// Keys that are kept for good, by issuer: for one lie.
const oldKeys = new Map();

async function keysOf(issuer, lie, metadata) {
  if (lie !== "keeps-old-keys") return fetched(metadata.jwks_uri);
  if (!oldKeys.has(issuer)) oldKeys.set(issuer, await fetched(metadata.jwks_uri));
  return oldKeys.get(issuer);
}

async function userinfoOf({ issuer, lie, metadata }, token) {
  const response = await fetch(metadata.userinfo_endpoint, { headers: { authorization: `Bearer ${token}` } });
  need(response.ok, `userinfo answers ${response.status}`);
  const text = await response.text();
  if (!response.headers.get("content-type").startsWith("application/jwt")) return JSON.parse(text);
  need(lie !== "userinfo-as-json", "userinfo is no JSON");
  if (lie !== "userinfo-signature") {
    await jose.compactVerify(text, jose.createLocalJWKSet(await keysOf(issuer, lie, metadata)));
  }
  return jose.decodeJwt(text);
}

const takesClaimsOfOthers = ["takes-claims-of-others", "believes-claims-of-others", "fetches-with-its-own-token"];

// The claims that somebody else states, verified, by whoever takes any.
async function withClaimsOfOthers({ issuer, lie, metadata }, token, userinfo) {
  if (!takesClaimsOfOthers.includes(lie)) return userinfo;
  const stated = { ...userinfo };
  for (const [name, source] of Object.entries(userinfo._claim_names ?? {})) {
    const { JWT, endpoint, access_token } = userinfo._claim_sources[source];
    const bearer = lie === "fetches-with-its-own-token" ? token : access_token;
    const jwt = JWT ?? (await (await fetch(endpoint, { headers: { authorization: `Bearer ${bearer}` } })).text());
    const keys = jose.createLocalJWKSet(await keysOf(issuer, lie, metadata));
    const good = await jose.jwtVerify(jwt, keys, { issuer }).catch(() => false);
    if (good || lie === "believes-claims-of-others") stated[name] = jose.decodeJwt(jwt)[name];
  }
  return stated;
}

// With its own checks, of which the lie leaves out one or makes one too many.
const wrong = {
  async begin(login) {
    const { issuer, lie } = login;
    login.metadata =
      lie === "guesses-endpoints"
        ? {
            authorization_endpoint: `${issuer}authorize`,
            token_endpoint: `${issuer}token`,
            jwks_uri: `${issuer}jwks`,
            userinfo_endpoint: `${issuer}userinfo`,
            end_session_endpoint: `${issuer}endsession`,
          }
        : await fetched(`${issuer}.well-known/openid-configuration`);
    const believed = ["metadata-issuer", "metadata-issuer-late", "guesses-endpoints"].includes(lie);
    need(believed || login.metadata.issuer === issuer, "issuer");
    if (lie === "keeps-old-keys") await keysOf(issuer, lie, login.metadata);
    login.mode = modeOf(login.metadata);
    const url = new URL(login.metadata.authorization_endpoint);
    url.search = new URLSearchParams({
      ...(login.mode === "form_post" && lie !== "wants-a-query" && { response_mode: login.mode }),
      response_type: "code",
      client_id: settings.client_id,
      redirect_uri: redirectUri,
      scope: lie === "openid-only" ? "openid" : "openid profile",
      state: login.state,
      ...(lie !== "no-nonce" && { nonce: login.nonce }),
    });
    if (login.hint && lie !== "drops-hint") url.searchParams.set("login_hint", login.hint);
    return url;
  },
  async finish(login, url, session) {
    const { issuer, lie, metadata } = login;
    const given = Object.fromEntries(url.searchParams);
    need(lie === "redeems-errors" || !given.error, "error");
    need(lie !== "metadata-issuer-late" || metadata.issuer === issuer, "issuer");
    need(lie === "takes-any-tokens" || !given.id_token, "id_token");
    const form = new URLSearchParams({
      grant_type: "authorization_code",
      code: url.searchParams.get("code"),
      redirect_uri: lie === "another-redirect-uri" ? `${redirectUri}/` : redirectUri,
    });
    const headers = {};
    if (lie === "secret-in-the-body") {
      form.set("client_id", settings.client_id);
      form.set("client_secret", settings.client_secret);
    } else {
      headers.authorization = basic;
    }
    const tokens = given.id_token
      ? given
      : await fetched(metadata.token_endpoint, { method: "POST", headers, body: form });
    const header = jose.decodeProtectedHeader(tokens.id_token);
    const claims = jose.decodeJwt(tokens.id_token);
    if (lie === "session-before-checks") {
      sessions.set(session, { issuer, login, due: Infinity, sub: claims.sub, sid: claims.sid, tokens });
    }
    if (lie === "userinfo-before-checks") await userinfoOf(login, tokens.access_token);
    need(lie !== "needs-kid" || header.kid, "kid");
    if (lie !== "signature") {
      const set = await keysOf(issuer, lie, metadata);
      if (lie === "knows-all-keys") await Promise.all(set.keys.map((each) => jose.importJWK(each)));
      const keys = jose.createLocalJWKSet(set);
      const algorithms = [lie === "only-es256" ? "ES256" : "RS256"];
      await jose.compactVerify(tokens.id_token, keys, { algorithms });
    }
    need(lie === "iss" || claims.iss === issuer, "iss");
    need(lie === "sub" || claims.sub, "sub");
    const audience = lie === "aud-if-there" ? (claims.aud ?? settings.client_id) : claims.aud;
    need(lie === "aud" || audience === settings.client_id, "aud");
    need(lie === "iat" || claims.iat, "iat");
    need(lie === "nonce" || claims.nonce === login.nonce, "nonce");
    let userinfo = {};
    if (lie !== "no-userinfo" && tokens.access_token) {
      userinfo = await userinfoOf(login, tokens.access_token);
      need(["userinfo-sub", "sub"].includes(lie) || userinfo.sub === claims.sub, "sub of userinfo");
      need(lie !== "refuses-claims-of-others" || !userinfo._claim_names, "_claim_names");
      userinfo = await withClaimsOfOthers(login, tokens.access_token, userinfo);
    }
    return { sub: claims.sub, sid: claims.sid, claims: userinfo, tokens, idToken: tokens.id_token };
  },
  async signOut({ issuer, idToken }, state, lie) {
    const { end_session_endpoint } = await fetched(`${issuer}.well-known/openid-configuration`);
    const url = new URL(end_session_endpoint);
    url.search = new URLSearchParams({
      client_id: settings.client_id,
      post_logout_redirect_uri: lie === "logout-to-elsewhere" ? `${base}/elsewhere` : loggedOut,
      ...(lie === "logout-no-hint" ? {} : { id_token_hint: idToken }),
      ...(lie === "logout-no-state" ? {} : { state }),
    });
    return url;
  },
  async renew(session) {
    const { issuer, lie, metadata } = session.login;
    const body = new URLSearchParams({ grant_type: "refresh_token", refresh_token: session.tokens.refresh_token });
    const renewed = await fetched(metadata.token_endpoint, { method: "POST", headers: { authorization: basic }, body });
    if (lie === "keeps-old-refresh-token") return { ...renewed, refresh_token: session.tokens.refresh_token };
    if (lie === "keeps-refused-refresh-token") return { ...session.tokens, refresh_token: renewed.refresh_token };
    if (lie === "keeps-refused-access-token") return { ...session.tokens, access_token: renewed.access_token };
    const claims = jose.decodeJwt(renewed.id_token);
    need(lie === "renewed-iss" || claims.iss === issuer, "iss");
    need(lie === "renewed-sub" || claims.sub === session.sub, "sub");
    await userinfoOf(session.login, renewed.access_token);
    return renewed;
  },
};

// Tokens are renewed when somebody comes; what cannot be renewed ends the session.
async function renew(id, session) {
  const { login, tokens } = session;
  if (!tokens?.refresh_token || now() < session.due || login.lie === "never-renews") return;
  try {
    session.tokens = await ways(login.lie).renew(session);
    session.due = now() + session.tokens.expires_in;
  } catch {
    sessions.delete(id);
  }
}

const ways = (lie) => (lie ? wrong : right);

// Which sign-outs are under way, by their state.
const signOuts = new Map();

async function signOut(cookie, ways, lie) {
  const session = sessions.get(cookie);
  if (lie !== "logout-there-only") sessions.delete(cookie);
  if (lie === "logout-here-only") return loggedOut;
  const state = client.randomState();
  signOuts.set(state, session);
  return (await ways.signOut(session, state, lie)).href;
}

function backFromSignOut(state, issuer, lie) {
  if (lie === "logout-follows-state" && URL.canParse(state)) return [302, { location: state }];
  if (lie === "logout-signs-in") return [302, { location: `/login?iss=${encodeURIComponent(issuer)}` }];
  if (lie === "logout-needs-state" && !signOuts.has(state)) return [500, {}];
  return [200, {}];
}

async function takeLogoutToken(token, issuer, lie) {
  const { alg } = jose.decodeProtectedHeader(token);
  const metadata = await fetched(`${issuer}.well-known/openid-configuration`);
  if (lie === "logout-before-checks") {
    for (const [id] of sessionsOf(issuer, jose.decodeJwt(token).sid)) sessions.delete(id);
  }
  if (alg === "HS256" && lie === "logout-alg") {
    await jose.compactVerify(token, new TextEncoder().encode(settings.client_secret));
  } else if (alg !== "none" || lie !== "logout-unsigned") {
    const keys = jose.createLocalJWKSet(await fetched(metadata.jwks_uri));
    await jose.compactVerify(token, keys, { algorithms: ["RS256"] });
  }
  const claims = jose.decodeJwt(token);
  need(lie === "logout-iss" || claims.iss === issuer, "iss");
  need(lie === "logout-aud" || claims.aud === settings.client_id, "aud");
  need(lie === "logout-nonce" || claims.nonce === undefined, "nonce");
  need(lie === "logout-no-event" || claims.events, "events");
  need(lie === "logout-other-event" || !claims.events || event in claims.events, "event");
  if (lie === "logout-ends-nothing") return;
  const named = sessionsOf(issuer, claims.sid);
  need(lie !== "logout-knows-the-session" || named.length, "session");
  for (const [id] of named) sessions.delete(id);
}

const sessionsOf = (issuer, sid, lie) =>
  [...sessions].filter(
    ([, session]) =>
      (lie === "logout-iss" || session.issuer === issuer) && (lie === "logout-sid" || session.sid === sid),
  );

function takeFrame(issuer, sid, cookie, lie) {
  const named = sessionsOf(issuer, sid, lie);
  need(lie !== "logout-knows-the-session" || named.length, "session");
  for (const [id, { sub }] of named) {
    if (lie === "logout-one-process") sessions.get(id).lives = true;
    else if (!["logout-ends-nothing", "logout-by-cookie"].includes(lie)) sessions.delete(id);
    if (lie !== "logout-person") continue;
    for (const [other, session] of sessions) if (session.sub === sub) sessions.delete(other);
  }
  if (lie === "logout-by-cookie") sessions.delete(cookie);
  return {
    "content-type": "text/html",
    ...(lie === "logout-stored" ? { "cache-control": "max-age=60" } : {}),
    ...(lie === "logout-unframed" ? { "x-frame-options": "DENY" } : {}),
    ...(lie === "logout-framed-by-itself" ? { "content-security-policy": "frame-ancestors 'self'" } : {}),
  };
}

// The frame that asks the provider's, and what it does when that one answers.
const watch = `
const { question, origin, lie } = document.currentScript.dataset;
const op = document.getElementById("op");
let timer;
let done = false;
const ask = () => op.contentWindow.postMessage(question, origin);
addEventListener("message", (event) => {
  if (event.origin !== origin || event.source !== op.contentWindow || done) return;
  const changed =
    event.data === "changed" ||
    (event.data === "error" && lie === "watch-error-is-change") ||
    (event.data === "unchanged" && lie === "watch-always");
  // Questions that were asked meanwhile are answered alike: to leave twice would break off the first request.
  done = changed || event.data !== "unchanged";
  if (done) clearInterval(timer);
  if (changed && lie !== "watch-only") (lie === "watch-the-page" ? top : self).location.replace("/silent?lie=" + lie);
});
op.addEventListener("load", () => {
  clearInterval(timer);
  if (lie !== "watch-once") timer = setInterval(ask, 100);
  ask();
});
`;

function watching({ issuer, frame, state }, lie) {
  const question = lie === "watch-state-only" ? state : `${settings.client_id} ${state}`;
  const told = `data-question="${question}" data-origin="${new URL(issuer).origin}" data-lie="${lie}"`;
  return `<!doctype html><iframe id="op" src="${frame}"></iframe><script ${told}>${watch}</script>`;
}

// The silent request of that frame, and what becomes of the session.
async function askSilently(session, lie) {
  const login = { issuer: session.issuer, silent: true, watching: lie, ...secretsOfALogin() };
  const location = await right.begin(login);
  location.searchParams.set("prompt", "none");
  if (lie !== "watch-no-hint") location.searchParams.set("id_token_hint", session.idToken);
  return [login, location.href];
}

async function finishSilently(login, url, cookie) {
  const session = sessions.get(cookie);
  const person = await right.finish(login, url).catch(() => null);
  const lie = login.watching;
  if (person && (person.sub === session?.sub || lie === "watch-anybody")) {
    const state = lie === "watch-old-state" ? session.state : url.searchParams.get("session_state");
    sessions.set(cookie, { ...session, ...person, state });
  } else if (lie !== "watch-lives-on") sessions.delete(cookie);
  return [302, { location: `/watch?lie=${lie}` }];
}

// Whether somebody is signed in; for one lie only half of it has heard that the session is over.
function isIn(session) {
  if (session?.lives === undefined) return session !== undefined;
  session.lives = !session.lives;
  return session.lives;
}

const secretsOfALogin = () => ({
  state: client.randomState(),
  nonce: client.randomNonce(),
  verifier: client.randomPKCECodeVerifier(),
});

const bodyOf = async (request) => {
  const parts = [];
  for await (const part of request) parts.push(part);
  return new URLSearchParams(Buffer.concat(parts).toString());
};

async function answer(request) {
  const url = new URL(request.url, base);
  const cookie = /session=([\w-]+)/.exec(request.headers.cookie ?? "")?.[1];
  const html = { "content-type": "text/html; charset=utf-8" };
  switch (`${request.method} ${url.pathname}`) {
    case "GET /login": {
      const login = {
        issuer: url.searchParams.get("iss"),
        lie: url.searchParams.get("lie"),
        hint: url.searchParams.get("login_hint"),
        target: url.searchParams.get("target_link_uri") ?? `${base}/page`,
        ...secretsOfALogin(),
      };
      if (login.lie === "drops-target") login.target = `${base}/logged-out`;
      need(login.lie === "open-redirector" || new URL(login.target).origin === base, "target_link_uri");
      const id = randomUUID();
      logins.set(id, login);
      const location = (await ways(login.lie).begin(login)).href;
      // What another site posts comes with no cookie but such a one.
      const sameSite = login.mode === "form_post" && login.lie !== "lax-cookie" ? "None" : "Lax";
      return [302, { location, "set-cookie": `session=${id}; Path=/; Secure; HttpOnly; SameSite=${sameSite}` }];
    }
    case "GET /callback":
    case "POST /callback": {
      const login = logins.get(cookie);
      if (login?.lie === "takes-empty-answers") {
        sessions.set(cookie, { issuer: login.issuer });
        return [302, { location: "/page" }];
      }
      if (request.method === "POST") url.search = await bodyOf(request);
      need(login && login.state === url.searchParams.get("state"), "state");
      need((request.method === "POST") === (login.mode === "form_post"), "response mode");
      logins.delete(cookie);
      if (login.silent) return finishSilently(login, url, cookie);
      const person = await ways(login.lie).finish(login, url, cookie);
      sessions.set(cookie, {
        issuer: login.issuer,
        login,
        due: now() + person.tokens.expires_in,
        ...person,
        frame: login.configuration?.serverMetadata().check_session_iframe,
        state: url.searchParams.get("session_state"),
      });
      return [302, { location: login.target }];
    }
    case "GET /page": {
      if (sessions.has(cookie)) await renew(cookie, sessions.get(cookie));
      if (!isIn(sessions.get(cookie))) return [401, {}];
      const { claims, tokens } = sessions.get(cookie);
      return [200, {}, JSON.stringify({ claims, access_token: tokens?.access_token })];
    }
    case "GET /watched":
      return [200, html, `<!doctype html><iframe src="/watch${url.search}"></iframe>`];
    case "GET /watch": {
      const session = sessions.get(cookie);
      return [200, html, session?.frame ? watching(session, url.searchParams.get("lie") ?? "") : ""];
    }
    case "GET /silent": {
      const session = sessions.get(cookie);
      if (!session) return [302, { location: "/watch" }];
      const [login, location] = await askSilently(session, url.searchParams.get("lie"));
      logins.set(cookie, login);
      return [302, { location }];
    }
    case "POST /logout": {
      const lie = url.searchParams.get("lie") ?? "";
      const { issuer } = sessions.get(cookie);
      const location = await signOut(cookie, ways(lie), lie);
      // What there is to know when the person comes back.
      return [303, { location, "set-cookie": `left=${lie} ${issuer}; Path=/logged-out; Secure; HttpOnly; SameSite=Lax` }];
    }
    case "GET /logged-out": {
      const [, lie, issuer] = /left=(\S*) ([^;]*)/.exec(request.headers.cookie) ?? [];
      return backFromSignOut(url.searchParams.get("state"), issuer, lie);
    }
    case "GET /frontchannel":
      return [
        200,
        takeFrame(
          url.searchParams.get("iss"),
          url.searchParams.get("sid"),
          cookie,
          url.searchParams.get("lie"),
        ),
      ];
    case "POST /backchannel": {
      const lie = url.searchParams.get("lie");
      await takeLogoutToken((await bodyOf(request)).get("logout_token"), url.searchParams.get("iss"), lie);
      return [200, lie === "logout-may-be-stored" ? { "cache-control": "max-age=60" } : {}];
    }
    default:
      return [404, {}];
  }
}

createServer(
  { cert: readFileSync(settings.certificate), key: readFileSync(settings.key) },
  async (request, response) => {
    let status;
    let headers;
    let text;
    try {
      [status, headers, text = ""] = await answer(request);
    } catch (error) {
      [status, headers, text] = [400, {}, `${error.code ?? error.name}: ${error.message}`];
    }
    response.writeHead(status, { "cache-control": "no-store", ...headers });
    response.end(text);
  },
).listen(settings.port, "127.0.0.1");
