// The step that asks for the six digits.

import { call } from "./api.js";
import { FormError } from "./checks.js";
import { LinkFollowed, showFailure, form, triesLeft } from "./stepper.js";

// The server accepts only so many a day.
const MOST_TRIES = 10;

// Returns whether the answer to a sign-in or sign-up asks for a code.
export const wantsCode = (answer) => !(answer.verified ?? !answer.verificationMethod);

// Asks until the code is right. Tells the user when no further mail may be sent now.
export async function confirm(email, authorization) {
  let tries = MOST_TRIES;
  let refusal;
  for (;;) {
    try {
      const confirmed = form("code", { email }, async (typed) => {
        const code = typed.code.replace(/\s/g, "");
        if (!/^\d{6}$/.test(code)) throw new FormError({ field: "code", error: "digits" });
        try {
          await call("POST", "/v1/session/verify_code", { authorization, body: { code } });
        } catch (wrong) {
          wrong.fills = { left: triesLeft((tries -= 1)) };
          throw wrong;
        }
      });
      if (refusal) showFailure(refusal);
      return await confirmed;
    } catch (error) {
      if (!(error instanceof LinkFollowed)) throw error;
      const asked = call("POST", "/v1/session/resend_code", { authorization, body: {} });
      refusal = await asked.then(
        () => undefined,
        (error) => error,
      );
    }
  }
}
