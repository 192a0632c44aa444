/* Signing in with passkeys and security keys, setting them up, and keeping recovery codes.

   `form[data-webauthn]` is `create`, `get` or `login`: its button asks the browser for a credential by the options in
   `#webauthn-options`, or for `login` at the form's address, and sends the answer in the field `credential`. */
const decode = (text) => Uint8Array.from(atob(text.replace(/-/g, "+").replace(/_/g, "/")), (sign) => sign.charCodeAt(0));
const encode = (buffer) => btoa(String.fromCharCode(...new Uint8Array(buffer))).replace(/\+/g, "-").replace(/\//g, "_").replace(/=+$/, "");
const listed = (list) => (list ?? []).map((each) => ({ ...each, id: decode(each.id) }));

const create = async ({ publicKey }, passwordless) => {
  const selection = { ...publicKey.authenticatorSelection, residentKey: passwordless ? "required" : "discouraged", requireResidentKey: passwordless };
  if (passwordless) selection.userVerification = "required";
  const made = await navigator.credentials.create({ publicKey: {
    ...publicKey, challenge: decode(publicKey.challenge), user: { ...publicKey.user, id: decode(publicKey.user.id) },
    excludeCredentials: listed(publicKey.excludeCredentials), authenticatorSelection: selection,
  } });
  return {
    type: made.type, id: made.id, rawId: encode(made.rawId), authenticatorAttachment: made.authenticatorAttachment,
    clientExtensionResults: made.getClientExtensionResults(),
    response: { clientDataJSON: encode(made.response.clientDataJSON), attestationObject: encode(made.response.attestationObject), transports: made.response.getTransports?.() ?? [] },
  };
};

const get = async ({ publicKey }) => {
  const found = await navigator.credentials.get({ publicKey: {
    ...publicKey, challenge: decode(publicKey.challenge), allowCredentials: listed(publicKey.allowCredentials),
  } });
  const { clientDataJSON, authenticatorData, signature, userHandle } = found.response;
  return {
    type: found.type, id: found.id, rawId: encode(found.rawId), authenticatorAttachment: found.authenticatorAttachment,
    clientExtensionResults: found.getClientExtensionResults(),
    response: { clientDataJSON: encode(clientDataJSON), authenticatorData: encode(authenticatorData), signature: encode(signature), userHandle: userHandle ? encode(userHandle) : null },
  };
};

const options = async (form) => {
  if (form.dataset.webauthn !== "login") return JSON.parse(document.getElementById("webauthn-options").textContent);
  const answer = await fetch(form.action, { headers: { Accept: "application/json" } });
  if (!answer.ok) throw new Error(String(answer.status));
  return (await answer.json()).request_options;
};

for (const form of document.querySelectorAll("form[data-webauthn]")) {
  const button = form.querySelector("[data-webauthn-ask]");
  const trouble = form.querySelector("[data-webauthn-error]");
  if (!window.PublicKeyCredential) {
    button.disabled = true;
    form.querySelector("[data-webauthn-none]")?.removeAttribute("hidden");
  }
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    if (button.disabled) return;
    button.disabled = true;
    trouble.hidden = true;
    try {
      const asked = await options(form);
      const credential = form.dataset.webauthn === "create" ? await create(asked, form.querySelector("[name=passwordless]")?.checked ?? false) : await get(asked);
      form.querySelector("[name=credential]").value = JSON.stringify(credential);
      form.submit();
    } catch {
      button.disabled = false;
      trouble.hidden = false;
    }
  });
}

/* Recovery codes: saved as a file made here, for they are not to be had again; leaving before that is asked about. */
const codes = document.getElementById("recovery-codes");
if (codes) {
  const saved = document.querySelector("[data-codes-saved]");
  const onward = document.querySelector("[data-codes-onward]");
  const warn = (event) => event.preventDefault();
  window.addEventListener("beforeunload", warn);
  document.querySelector("[data-codes-file]")?.addEventListener("click", (event) => {
    const link = document.createElement("a");
    link.href = URL.createObjectURL(new Blob([`${codes.innerText.trim()}\n`], { type: "text/plain" }));
    link.download = event.currentTarget.dataset.codesFile;
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
  });
  document.querySelector("[data-codes-print]")?.addEventListener("click", () => window.print());
  const settle = () => {
    window.removeEventListener("beforeunload", warn);
    if (saved?.checked) onward?.removeAttribute("aria-disabled");
    else { window.addEventListener("beforeunload", warn); onward?.setAttribute("aria-disabled", "true"); }
  };
  saved?.addEventListener("change", settle);
  onward?.addEventListener("click", (event) => { if (!saved?.checked) { event.preventDefault(); saved?.focus(); } });
}
