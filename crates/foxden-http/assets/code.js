// The step that asks for the six digits.

import { call } from "./api.js";
import { Mend } from "./checks.js";
import { Detour, form, triesLeft } from "./stage.js";

const MOST_TRIES = 5;

// Whether an answer to a sign-in or sign-up says that a code is wanted.
export const wantsCode = (answer) => !(answer.verified ?? !answer.verificationMethod);

// Asks until the code is right. A new code comes with new tries.
export async function confirm(email, authorization) {
  let tries = MOST_TRIES;
  for (;;) {
    try {
      return await form("code", { email }, async (typed) => {
        const code = typed.code.replace(/\s/g, "");
        if (!/^\d{6}$/.test(code)) throw new Mend({ field: "code", error: "digits" });
        try {
          await call("POST", "/v1/session/verify_code", { authorization, body: { code } });
        } catch (refusal) {
          refusal.fills = { left: triesLeft((tries -= 1)) };
          throw refusal;
        }
      });
    } catch (error) {
      if (!(error instanceof Detour)) throw error;
      tries = MOST_TRIES;
      await call("POST", "/v1/session/resend_code", { authorization, body: {} }).catch(() => {});
    }
  }
}
