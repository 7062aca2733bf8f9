// Light, dark, or as the system says.

import { $, text } from "./dom.js";

const ORDER = ["auto", "light", "dark"];
const LABELS = { auto: "Theme: auto", light: "Theme: light", dark: "Theme: dark" };

function stored() {
  try {
    return localStorage.getItem("tasker-theme");
  } catch {
    return null; // where storage is blocked
  }
}

export function startTheme(changed) {
  let theme = ORDER.includes(stored()) ? stored() : "auto";
  const show = () => {
    document.documentElement.dataset.theme = theme;
    text($("theme"), LABELS[theme]);
    changed();
  };
  $("theme").addEventListener("click", () => {
    theme = ORDER[(ORDER.indexOf(theme) + 1) % ORDER.length];
    try {
      localStorage.setItem("tasker-theme", theme);
    } catch {
      // it lasts as long as the page then
    }
    show();
  });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", changed);
  show();
}
