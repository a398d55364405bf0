// The sign-in step: an address and a password, or a new account.

import { Refusal } from "./api.js";
import { checkEmail, checkNewPassword, checkPassword } from "./checks.js";
import { exists, signIn, signInAgain, signUp } from "./person.js";
import { LinkFollowed, form } from "./stepper.js";

const canSignUp = "signUp" in document.getElementById("stepper").dataset;

// Asks for address and password until the server accepts them, or creates an account.
export async function identify(user) {
  let email = user?.email ?? new URLSearchParams(location.search).get("email") ?? "";
  let step = user ? "again" : await firstStep(email);
  for (;;) {
    try {
      if (step === "start") [email, step] = await askAddress(email);
      else if (step === "sign-up") return await askNewPassword(email);
      else return await askPassword(step, email, user);
    } catch (error) {
      if (!(error instanceof LinkFollowed)) throw error;
      if (error.to === "reset") return leave();
      email = user?.email ?? error.values.email?.trim() ?? email;
      step = error.to;
    }
  }
}

async function firstStep(email) {
  if (!email) return "start";
  try {
    const isKnown = await exists(checkEmail(email));
    return isKnown || canSignUp ? stepFor(isKnown) : "start";
  } catch {
    return "start";
  }
}

const stepFor = (isKnown) => (isKnown ? "password" : "sign-up");

const askAddress = (email) =>
  form("start", { email }, async (typed) => {
    const address = checkEmail(typed.email);
    const isKnown = await exists(address);
    if (!isKnown && !canSignUp) throw new Refusal({ errno: 102 });
    return [address, stepFor(isKnown)];
  });

const askPassword = (step, email, user) =>
  form(step, { email, letter: letter(email) }, (typed) => {
    const password = checkPassword(typed.password);
    const session = user?.sessionToken;
    return session ? signInAgain(session, email, password) : signIn(email, password, { keys: true });
  });

const askNewPassword = (email) =>
  form("sign-up", { email }, async (typed) => {
    const address = checkEmail(typed.email);
    checkNewPassword(address, typed.password, typed.repeat);
    return { ...(await signUp(address, typed.password, { keys: true })), isNew: true };
  });

const letter = (email) => [...email][0]?.toUpperCase() ?? "?";

// The address is sent along with its flow: afterwards the user returns to this page.
function leave() {
  location.assign(`/reset_password${location.search}`);
  return new Promise(() => {});
}
