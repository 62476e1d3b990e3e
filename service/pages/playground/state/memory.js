// Language and theme, where the browser lets a page remember something; never a tensor.
export function recall(name) {
  try {
    return localStorage.getItem(`attention-playground.${name}`);
  } catch {
    return null;
  }
}

export function remember(name, value) {
  try {
    localStorage.setItem(`attention-playground.${name}`, value);
  } catch {
    // Storage is blocked: the choice lasts as long as the page.
  }
}
