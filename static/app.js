// What html and htmx do not do by themselves: the dialog, announcements, one click sent once.
(() => {
  const byId = (id) => document.getElementById(id);

  // Screen readers are told what a swap changed, and only when it changed.
  const announce = (root) => {
    const news = [root, ...root.querySelectorAll("[data-announce]")]
      .map((part) => part.dataset?.announce).filter(Boolean).join(" ");
    if (news && byId("announcer").textContent !== news) byId("announcer").textContent = news;
  };
  const cards = byId("cards");
  let lastCards = cards && cards.dataset.announce;

  document.addEventListener("htmx:afterSwap", (event) => {
    const dialog = byId("dialog");
    if (event.detail.target === dialog && !dialog.open) dialog.showModal();
  });
  document.addEventListener("htmx:load", (event) => {
    const part = event.detail.elt;
    if (part === document.body) return;
    if (part.id === "cards") {
      if (part.dataset.announce !== lastCards) announce(part);
      lastCards = part.dataset.announce;
    } else announce(part);
  });

  // A question that was answered closes; one with an error in it stays.
  document.addEventListener("htmx:afterRequest", (event) => {
    const { elt, xhr, requestConfig } = event.detail;
    if (xhr.status < 400 && requestConfig.verb === "post" && elt.matches("#dialog form")) byId("dialog").close();
  });
  document.addEventListener("click", (event) => {
    const dialog = byId("dialog");
    if (!dialog?.open) return;
    if (event.target === dialog || event.target.closest("[data-close]")) {
      event.preventDefault();
      dialog.close();
    }
  });

  // A telephone's menu closes by a touch elsewhere and by Escape.
  const closeMenu = (event) => {
    const menu = document.querySelector(".menu-more[open]");
    if (!menu || (event.key ? event.key !== "Escape" : menu.contains(event.target))) return;
    menu.open = false;
    if (event.key) menu.querySelector("summary").focus();
  };
  document.addEventListener("click", closeMenu);
  document.addEventListener("keydown", closeMenu);

  // Only our own messages are shown for errors; a proxy's page is not. Polls fail quietly.
  const isPoll = (detail) => (detail.requestConfig?.path || "").includes("poll");
  const sayOffline = () => byId("toasts").replaceChildren(byId("offline").content.cloneNode(true));
  document.addEventListener("htmx:beforeSwap", (event) => {
    const { xhr } = event.detail;
    if (xhr.status < 400 || xhr.status === 422) return;
    const isOurs = Boolean(xhr.getResponseHeader("HX-Retarget"));
    event.detail.shouldSwap = isOurs && !isPoll(event.detail);
    if (!isOurs && !isPoll(event.detail)) sayOffline();
  });
  document.addEventListener("htmx:sendError", (event) => { if (!isPoll(event.detail)) sayOffline(); });

  // Whoever stands on a button that is swapped goes on standing on the one that comes in its place.
  const controls = "a[href], button, input:not([type=hidden]), select, textarea, summary";
  const nameOf = (one) => one.id || one.getAttribute("href") || one.form?.getAttribute("action") || one.textContent.trim();
  let stood = null;
  document.addEventListener("htmx:beforeSwap", ({ detail: { target } }) => {
    const here = document.activeElement;
    stood = target.contains(here) && here !== target && target.id ? { id: target.id, name: nameOf(here) } : null;
  });
  document.addEventListener("htmx:afterSettle", () => {
    const place = stood && byId(stood.id);
    if (place && document.activeElement === document.body) {
      const same = [...place.querySelectorAll(controls)].find((one) => nameOf(one) === stood.name);
      if (!same) place.tabIndex = -1;
      (same || place).focus({ preventScroll: true });
    }
    stood = null;
  });

  document.addEventListener("click", (event) => {
    event.target.closest("[data-dismiss]")?.closest(".alert").remove();
  });

  // What a person waits for longer than a moment says so.
  let waitedFor = 0;
  const isWork = (event) => !isPoll(event.detail);
  document.addEventListener("htmx:beforeRequest", (event) => {
    if (!isWork(event)) return;
    waitedFor += 1;
    setTimeout(() => { byId("busy").hidden = waitedFor < 1; }, 500);
  });
  document.addEventListener("htmx:afterRequest", (event) => {
    if (isWork(event)) waitedFor = Math.max(0, waitedFor - 1);
    byId("busy").hidden = waitedFor < 1 || byId("busy").hidden;
  });
  // Polled numbers say how old they are, and that they are being fetched again when a poll failed.
  const reconnecting = (event, is) => {
    if (!isPoll(event.detail)) return;
    const sign = byId("reconnecting");
    if (sign && event.detail.elt?.id === "cards") sign.hidden = !is;
  };
  for (const name of ["htmx:sendError", "htmx:responseError", "htmx:timeout"]) {
    document.addEventListener(name, (event) => reconnecting(event, true));
  }
  const tellAge = () => {
    const part = document.querySelector("[data-age]");
    if (!part) return;
    part.dataset.said ??= part.textContent;
    const minutes = Math.floor((Date.now() - Number(part.dataset.seen ??= Date.now())) / 60000);
    if (minutes < 1) { part.textContent = part.dataset.said; return; }
    const words = new Intl.RelativeTimeFormat(document.documentElement.lang, { numeric: "always" });
    part.textContent = `${part.dataset.said} (${words.format(-minutes, "minute")})`;
  };
  setInterval(tellAge, 10000);

  // A plain form is sent once, however often its button is pressed.
  document.addEventListener("submit", (event) => {
    const form = event.target;
    if (form.method !== "post" || form.hasAttribute("hx-post") || form.hasAttribute("data-repeatable")) return;
    if (form.dataset.sent) { event.preventDefault(); return; }
    form.dataset.sent = "yes";
    setTimeout(() => { if (form.dataset.sent) byId("busy").hidden = false; }, 500);
  });
  addEventListener("pageshow", () => {
    if (byId("busy")) byId("busy").hidden = true;
    document.querySelectorAll("form[data-sent]").forEach((form) => { delete form.dataset.sent; });
  });

  // One tick for all that belong to a form.
  document.addEventListener("change", (event) => {
    const formId = event.target.dataset.tickAll;
    if (!formId) return;
    document.querySelectorAll(`input[type=checkbox][form="${formId}"]`)
      .forEach((box) => { box.checked = event.target.checked; });
  });

  // A free time and the field beside it say the same; free times of another day or service go.
  document.addEventListener("change", (event) => {
    const { time } = event.target.dataset;
    const field = document.querySelector("input[type=time][name=time]");
    if (time && field) field.value = time;
  });
  document.addEventListener("input", (event) => {
    if (!byId("free-times") || !event.target.matches("[name=time], [name=day], [name=service]")) return;
    if (event.target.name === "time") byId("free-times").querySelectorAll("input").forEach((box) => { box.checked = false; });
    else byId("free-times").replaceChildren();
  });

  // Typing about a new customer chooses "new customer".
  document.addEventListener("input", (event) => {
    const fresh = document.querySelector("input[name=customer][value=new]");
    if (fresh && event.target.closest(".new-customer")) fresh.checked = true;
  });
  document.addEventListener("focusin", (event) => {
    if (event.target.hasAttribute("data-select")) event.target.select();
  });
})();
