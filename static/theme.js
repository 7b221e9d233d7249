// Follows the device's light or dark look where the reader chose nothing else; runs before the first paint.
(() => {
  const root = document.documentElement;
  if (root.dataset.themeChoice !== "system") return;
  const dark = matchMedia("(prefers-color-scheme: dark)");
  const follow = () => { root.dataset.bsTheme = dark.matches ? "dark" : "light"; };
  follow();
  dark.addEventListener("change", follow);
})();
