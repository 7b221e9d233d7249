// The command palette: a dialog with a combobox; results come from the server, keys choose among them.
(() => {
  const palette = document.getElementById("palette");
  const text = document.getElementById("palette-text");
  if (!palette || !text) return;
  const options = () => [...palette.querySelectorAll("[role=option]")];
  // Whether the list is of what was typed; Enter that comes earlier waits for it.
  let isFresh = true, isWanted = false;
  const chosen = () => palette.querySelector("[aria-selected=true]");

  const choose = (option) => {
    chosen()?.setAttribute("aria-selected", "false");
    if (!option) { text.removeAttribute("aria-activedescendant"); return; }
    option.setAttribute("aria-selected", "true");
    text.setAttribute("aria-activedescendant", option.id);
    option.scrollIntoView({ block: "nearest" });
  };
  const open = () => {
    if (palette.open || document.querySelector("dialog[open]")) return;
    palette.showModal();
    text.value = "";
    text.focus();
    text.dispatchEvent(new CustomEvent("palette"));
  };
  const isTyping = (element) => element.closest("input, textarea, select, [contenteditable=true]");

  document.addEventListener("keydown", (event) => {
    if ((event.ctrlKey || event.metaKey) && !event.shiftKey && !event.altKey && event.key.toLowerCase() === "k") {
      event.preventDefault();
      if (palette.open) palette.close(); else open();
    } else if (event.key === "/" && !event.ctrlKey && !event.metaKey && !event.altKey && !isTyping(event.target)) {
      event.preventDefault();
      open();
    }
  });
  document.addEventListener("click", (event) => {
    if (event.target.closest("[data-palette-open]") && !event.ctrlKey && !event.metaKey) {
      event.preventDefault();
      open();
    } else if (event.target === palette || event.target.closest("[data-palette-close]")) palette.close();
  });
  text.addEventListener("input", () => { isFresh = isWanted = false; choose(); });
  text.addEventListener("keydown", (event) => {
    if (event.key === "Enter" && !event.isComposing && !isFresh) {
      event.preventDefault();
      isWanted = true;
      return;
    }
    const all = options();
    const at = all.indexOf(chosen());
    const moves = { ArrowDown: (at + 1) % all.length, ArrowUp: (at <= 0 ? all.length : at) - 1, Home: 0, End: all.length - 1 };
    if (event.isComposing || !all.length) return;
    if (event.key in moves && !((event.key === "Home" || event.key === "End") && at < 0)) {
      event.preventDefault();
      choose(all[moves[event.key]]);
    } else if (event.key === "Enter") {
      event.preventDefault();
      (chosen() || all[0]).click();
    }
  });
  // The first result is chosen as soon as there are results, so that Enter opens it.
  document.addEventListener("htmx:afterSwap", (event) => {
    if (!palette.contains(event.detail.elt) && event.detail.elt.id !== "palette-results") return;
    const all = options();
    text.setAttribute("aria-expanded", String(all.length > 0));
    choose(text.value ? all[0] : undefined);
    isFresh = true;
    if (isWanted) all[0]?.click();
    isWanted = false;
  });
  palette.addEventListener("close", () => { isWanted = false; text.setAttribute("aria-expanded", "false"); choose(); });
})();
