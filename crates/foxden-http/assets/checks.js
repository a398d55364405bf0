// Checks of a form before it is sent.

const LEAST = 8;

// Errors in a form: `problems` is a list of `{field, error, fills}`, with the id of a field and the name of an
// error.
export class FormError extends Error {
  constructor(...problems) {
    super("invalid form");
    this.problems = problems;
  }
}

export function checkEmail(email) {
  const text = email.trim();
  if (!/^[^@\s]+@[^@\s]+$/.test(text)) throw new FormError({ field: "email", error: "address" });
  return text;
}

// An empty password is a slip, and sending it would use up a try.
export function checkPassword(password, field = "password") {
  if (!password) throw new FormError({ field, error: "empty" });
  return password;
}

// Returns the errors of a new password, as a list for `FormError`.
export function checkNewPassword(email, password, repeat, [field, again] = ["password", "password-repeat"]) {
  const problems = [];
  const length = [...password].length;
  const own = [email, email.split("@")[0]].map((name) => name.toLowerCase());
  if (length < LEAST) problems.push({ field, error: "short", fills: { count: String(length) } });
  else if (own.includes(password.toLowerCase())) problems.push({ field, error: "own-name" });
  if (password !== repeat) problems.push({ field: again, error: "repeat" });
  if (problems.length) throw new FormError(...problems);
}
