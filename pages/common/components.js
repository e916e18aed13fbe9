
// --- Shared by all components: DOM helpers --------------------------------------------------

function make(tag, className, attributes = {}) {
  const element = document.createElement(tag);
  element.className = className;
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  return element;
}

function setText(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

function nameOf(element, text) {
  element.setAttribute("aria-label", text);
  element.title = text;
}

/** Puts exactly these children into the parent and leaves those already there untouched. */
function setChildren(parent, children) {
  for (const child of [...parent.children]) {
    if (!children.includes(child)) child.remove();
  }
  children.forEach((child, index) => {
    if (parent.children[index] !== child) parent.insertBefore(child, parent.children[index] ?? null);
  });
}
