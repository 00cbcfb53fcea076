// A provider nobody here wrote: the certified npm package oidc-provider, configured for one client.
// Usage: node foreign_provider.mjs PORT CALLBACK POST_LOGOUT PLACE BACK_CHANNEL [OPTIONS], where PLACE says where
// preferred_username is served: "id_token" or "userinfo", and BACK_CHANNEL where logout tokens are posted to.
// OPTIONS is JSON: `client` is laid over the client's metadata (null takes a member away), `features` over the
// provider's, and what else it holds over its settings.
import Provider from "oidc-provider";

const [port, callback, postLogout, place, backChannel, options = "{}"] = process.argv.slice(2);
const { client = {}, features = {}, ...settings } = JSON.parse(options);
const issuer = `http://localhost:${port}`;

const provider = new Provider(issuer, {
  clients: [
    Object.fromEntries(
      Object.entries({
        client_id: "gate",
        client_secret: "a-secret-that-only-the-test-and-the-peer-know",
        redirect_uris: [callback],
        post_logout_redirect_uris: [postLogout],
        response_types: ["code"],
        grant_types: ["authorization_code"],
        backchannel_logout_uri: backChannel,
        backchannel_logout_session_required: true,
        ...client,
      }).filter(([, value]) => value !== null),
    ),
  ],
  // The login typed at the development pages becomes the subject's preferred_username; sub is of another kind.
  findAccount: (ctx, id) => ({
    accountId: id,
    claims: () => ({
      sub: `foreign|${Buffer.from(id).toString("hex")}`,
      preferred_username: id,
      name: id,
      email: `${id}@foreign.example`,
      email_verified: true,
    }),
  }),
  claims: {
    openid: ["sub"],
    profile: ["name", "preferred_username"],
    email: ["email", "email_verified"],
  },
  features: { backchannelLogout: { enabled: true }, ...features },
  // Without its own dispatcher, which connects to no loopback address.
  fetch: (url, { dispatcher, ...options }) => fetch(url, options),
  conformIdTokenClaims: place === "userinfo",
  cookies: { keys: ["one key for the cookies of a peer that lives for a test"] },
  pkce: { required: () => true },
  ...settings,
});

provider.on("backchannel.error", (ctx, error) => console.error(error));
provider.on("server_error", (ctx, error) => console.error(error));
provider.listen(Number(port), "127.0.0.1", () => console.log(`listening on ${issuer}`));
