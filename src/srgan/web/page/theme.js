// Dark or light: as the system has it, until one is chosen here.

import { keep, kept } from "./keeping.js";

const DARK = matchMedia("(prefers-color-scheme: dark)");

DARK.addEventListener("change", () => setTheme());

export function setTheme(theme = kept("localStorage", "srgan-theme") ?? document.documentElement.dataset.theme) {
  const button = document.getElementById("theme");
  const shown = theme ?? (DARK.matches ? "dark" : "light");
  if (theme) document.documentElement.dataset.theme = theme;
  button.querySelector("span").textContent = shown === "dark" ? "Light" : "Dark";
  button.setAttribute("aria-label", shown === "dark" ? "Light colours" : "Dark colours");
  button.onclick = () => {
    const next = shown === "dark" ? "light" : "dark";
    keep("localStorage", "srgan-theme", next);
    setTheme(next);
  };
}
