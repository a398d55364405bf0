// Shows copy buttons where copying works, and confirms a copy.

const CLIPBOARD = navigator.clipboard;

export function showCopyButtons() {
  if (!CLIPBOARD) return;
  for (const button of document.querySelectorAll("[data-copy][hidden]")) {
    button.hidden = false;
    button.setAttribute("aria-live", "polite");
    button.addEventListener("click", () => copy(button));
  }
}

async function copy(button) {
  const label = button.firstChild;
  try {
    await CLIPBOARD.writeText(button.dataset.copy);
    label.data = "Copied";
  } catch {
    label.data = "Press Ctrl+C";
    getSelection().selectAllChildren(button.previousElementSibling);
  }
  setTimeout(() => { label.data = "Copy"; }, 2000);
}
