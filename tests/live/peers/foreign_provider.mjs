// A provider nobody here wrote: the certified npm package oidc-provider, configured for one client.
// Usage: node foreign_provider.mjs PORT CALLBACK POST_LOGOUT PLACE, where PLACE says where preferred_username is
// served: "id_token" or "userinfo".
import Provider from "oidc-provider";

const [port, callback, postLogout, place] = process.argv.slice(2);
const issuer = `http://localhost:${port}`;

const provider = new Provider(issuer, {
  clients: [
    {
      client_id: "gate",
      client_secret: "a-secret-that-only-the-test-and-the-peer-know",
      redirect_uris: [callback],
      post_logout_redirect_uris: [postLogout],
      response_types: ["code"],
      grant_types: ["authorization_code"],
    },
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
  conformIdTokenClaims: place === "userinfo",
  cookies: { keys: ["one key for the cookies of a peer that lives for a test"] },
  pkce: { required: () => true },
});

provider.on("server_error", (ctx, error) => console.error(error));
provider.listen(Number(port), "127.0.0.1", () => console.log(`listening on ${issuer}`));
