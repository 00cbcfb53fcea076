// A single-page application as its authors would write it, on npm `oidc-client-ts`; a test asks it through `spa`.
"use strict";

const manager = new oidc.UserManager({
  authority: document.cookie.match(/issuer=([^;]+)/)[1],
  client_id: "spa",
  redirect_uri: `${location.origin}/callback`,
  silent_redirect_uri: `${location.origin}/silent`,
  post_logout_redirect_uri: `${location.origin}/`,
  scope: "openid profile",
  loadUserInfo: true,
  // Only where people are: the other two pages are there for a moment, one of them in a frame.
  monitorSession: location.pathname === "/",
  checkSessionIntervalInSeconds: 0.2,
  automaticSilentRenew: false,
});

function show(user) {
  document.getElementById("user").textContent = user ? `Signed in as ${user.profile.name}.` : "Nobody is signed in.";
}

function note(event) {
  spa.events.push(event);
  const line = document.createElement("li");
  line.textContent = event;
  document.getElementById("events").append(line);
}

// A hidden frame; resolves when something is in it, be it the browser's own page that says that it was refused.
function frame(url) {
  return new Promise((resolve) => {
    const element = document.createElement("iframe");
    element.addEventListener("load", () => resolve(element));
    element.src = url;
    document.body.append(element);
  });
}

const spa = {
  manager,
  frame,
  events: [],

  // What the frame says to one message, or "silence".
  async ask(message) {
    const url = await manager.metadataService.getCheckSessionIframe();
    const element = await frame(url);
    const answer = new Promise((resolve) => {
      addEventListener("message", ({ data, source }) => source === element.contentWindow && resolve(data));
      setTimeout(() => resolve("silence"), 1000);
    });
    element.contentWindow.postMessage(message, "*");
    return answer.finally(() => element.remove());
  },

  async state() {
    return `spa ${(await manager.getUser()).session_state}`;
  },

  // Whose a silent sign-in was, or how it failed.
  async renew() {
    const before = await manager.getUser();
    try {
      const user = await manager.signinSilent();
      return { sub: user.profile.sub, renewed: user.access_token !== before?.access_token };
    } catch (error) {
      return { error: error.error ?? error.message };
    }
  },
};

manager.events.addUserSignedOut(async () => {
  await manager.removeUser();
  show(null);
  note("signed out");
});
manager.events.addUserSessionChanged(() => note("session changed"));
manager.events.addUserLoaded((user) => show(user));
document.getElementById("sign-in").addEventListener("click", () => manager.signinRedirect());

if (location.pathname === "/callback") {
  manager.signinRedirectCallback().then(() => location.replace("/"));
} else if (location.pathname === "/silent") {
  manager.signinSilentCallback();
} else {
  manager.getUser().then((user) => {
    show(user);
    document.body.dataset.ready = "true";
  });
}
