// What the browser keeps for the page, where it is let keep anything: blocked, it throws.

/** Return what is kept under a name in `storage`, localStorage or sessionStorage, or null. */
export function kept(storage, name) {
  try {
    return globalThis[storage].getItem(name);
  } catch {
    return null;
  }
}

export function keep(storage, name, text) {
  try {
    globalThis[storage].setItem(name, text);
  } catch {
    // it holds for as long as the page is open
  }
}
