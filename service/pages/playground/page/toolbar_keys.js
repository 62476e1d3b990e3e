// Buttons that belong together are one Tab stop; the left and right arrow keys move among those that can be pressed.
export function createToolbarKeys(root) {
  const usable = () => [...root.querySelectorAll("button")].filter((button) => !button.disabled && button.offsetParent);

  function stopAt(target) {
    for (const button of root.querySelectorAll("button")) button.tabIndex = button === target ? 0 : -1;
  }

  root.setAttribute("role", "toolbar");
  root.addEventListener("focusin", ({ target }) => stopAt(target));
  root.addEventListener("keydown", (event) => {
    const step = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    if (!step || event.ctrlKey || event.altKey || event.metaKey || event.shiftKey) return;
    event.preventDefault();
    const buttons = usable();
    buttons.at((buttons.indexOf(document.activeElement) + step) % buttons.length)?.focus();
  });

  return {
    // After a change of what can be pressed: the stop is a button that can, and keeps the focus.
    settle(label) {
      root.setAttribute("aria-label", label);
      const buttons = usable();
      const stop = buttons.find((button) => button.tabIndex === 0 && button.hasAttribute("tabindex")) ?? buttons[0];
      if (root.contains(document.activeElement) && document.activeElement.disabled) stop?.focus();
      stopAt(stop);
    },
  };
}
