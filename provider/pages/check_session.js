"use strict";
// Compares what a client was given with the state of this browser. Spec: OIDC Session Management 1.0 3.2.
(() => {
  const { cookie, origins } = document.currentScript.dataset;
  const expected = new Set(origins.split(" "));
  const message = /^([^ ]{1,2048}) ([^ ]{1,500})$/;

  function browserState() {
    const start = `${cookie}=`;
    return document.cookie.split("; ").find((pair) => pair.startsWith(start))?.slice(start.length);
  }

  async function sessionState(client, origin, state, salt) {
    const text = new TextEncoder().encode(`${client} ${origin} ${state} ${salt}`);
    const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", text));
    return `${Array.from(digest, (byte) => byte.toString(16).padStart(2, "0")).join("")}.${salt}`;
  }

  async function answer(data, origin) {
    const said = typeof data === "string" && expected.has(origin) ? message.exec(data) : null;
    const state = browserState();
    // Without a state the browser does not show it to frames: "changed" would be said for ever, to a client
    // that asks anew each time and is told of nobody, and signs out somebody who is signed in.
    if (said === null || !state) return "error";
    const [, client, given] = said;
    const salt = given.slice(given.indexOf(".") + 1);
    return given === (await sessionState(client, origin, state, salt)) ? "unchanged" : "changed";
  }

  // In a window of its own it could be asked by whoever opened it: there nothing says who may.
  if (window.parent === window) return;
  window.addEventListener("message", async ({ data, origin, source }) => {
    // A document of no origin cannot be answered.
    if (source !== null && origin !== "null") source.postMessage(await answer(data, origin), origin);
  });
})();
