// WebAuthn: the browser asks a key for what the core has armed. Nothing is kept here; whether it opens the seat is said
// by the next face, or not at all.

const PLAIN = {
  NotAllowedError: "screen.key_not_used",
  TimeoutError: "hint.too_slow",
  InvalidStateError: "screen.key_known",
  SecurityError: "screen.key_address",
  NotSupportedError: "screen.key_unable",
  ConstraintError: "message.key_refused",
};

export class Keys {
  #post;
  #running = null;

  // post(verb, body) -> promise of the answer, or null
  constructor(post) {
    this.#post = post;
  }

  stop() {
    this.#running?.abort();
    this.#running = null;
  }

  // Returns the id of what is to be said, or null: the core has it.
  async start() {
    this.stop();
    const running = new AbortController();
    this.#running = running;
    try {
      const begun = await this.#post("key", {});
      if (begun === null) return "screen.key_not_now";
      const response = await ask(await begun.json(), running.signal);
      if (running.signal.aborted) return null;
      return (await this.#post("signed", { response })) === null ? "screen.not_sent" : null;
    } catch (error) {
      return running.signal.aborted ? null : (PLAIN[error.name] ?? "screen.key_not_used");
    } finally {
      if (this.#running === running) this.#running = null;
    }
  }
}

// Whatever the core has forgotten to ask for: who touches it is verified, and it names them by itself.
async function ask({ kind, options }, signal) {
  if (!window.PublicKeyCredential?.parseRequestOptionsFromJSON) throw new DOMException("", "NotSupportedError");
  if (kind === "create") {
    const selection = { ...options.authenticatorSelection, residentKey: "required", requireResidentKey: true };
    const given = { ...options, authenticatorSelection: { ...selection, userVerification: "required" } };
    const publicKey = PublicKeyCredential.parseCreationOptionsFromJSON(given);
    return JSON.stringify(await navigator.credentials.create({ publicKey, signal }));
  }
  const publicKey = PublicKeyCredential.parseRequestOptionsFromJSON({ ...options, userVerification: "required" });
  return JSON.stringify(await navigator.credentials.get({ publicKey, signal }));
}
