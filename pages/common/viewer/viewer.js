/*
 * The image viewer. Nothing here calls back to Python, so no gesture causes a rerun.
 *
 * A `frame` is what is on screen: the panes with their pictures. New data becomes the next frame
 * in the background; it replaces the old one as a whole once its visible pictures have decoded,
 * so a person never compares the pictures of two samples.
 *
 * The `view` is shared by all panes and free of pixels: zoom 1 fits the image, (u, v) is the
 * point of the image at the pane's centre, 0 to 1 in each direction. The same view therefore
 * shows the same spot in every pane.
 */

const MAX_SCALE = 32; // screen pixels per image pixel
const ZOOM_STEP = 1.25;
const PAN_STEP_PX = 60;
const WHEEL_LINE_PX = 16;
const WHEEL_GESTURE_MS = 300;
const SWAP_DEADLINE_MS = 4000;
const BUSY_AFTER_MS = 200;
const WHOLE = { zoom: 1, u: 0.5, v: 0.5 };

const viewers = new WeakMap(); // where it is mounted → Viewer
const choices = new Map(); // viewer key → { visible: Map(layer name → boolean), opacity }

export default function (component) {
  const { parentElement, data } = component;
  let viewer = viewers.get(parentElement);
  if (!viewer) {
    viewer = new Viewer(parentElement, data);
    viewers.set(parentElement, viewer);
  }
  const turn = viewer.update(data);
  return () => {
    // The clean-up of an overtaken update is called too, while the viewer lives on. Waiting
    // a moment tells the two apart.
    setTimeout(() => {
      if (viewer.turn !== turn || viewers.get(parentElement) !== viewer) return;
      viewers.delete(parentElement);
      viewer.destroy();
    });
  };
}

// --- Geometry: where a pane's image lies, in pixels of the pane -----------------------------

function placement(pane, view) {
  const { clientWidth: width, clientHeight: height } = pane.slot.view;
  const fit = Math.min(width / pane.width_px, height / pane.height_px) || 1;
  const scale = fit * view.zoom;
  const imageWidth = pane.width_px * scale;
  const imageHeight = pane.height_px * scale;
  const left = width / 2 - view.u * imageWidth;
  const top = height / 2 - view.v * imageHeight;
  return { width, height, fit, scale, imageWidth, imageHeight, left, top };
}

/**
 * The nearest view in which the image covers at least the place it has when it fits. Every zoom
 * about a point of the image keeps to that, so the point never slips from under the cursor.
 */
function covering({ zoom, u, v }) {
  const margin = 1 / (2 * zoom);
  const inside = (centre) => Math.min(Math.max(centre, margin), 1 - margin);
  return { zoom, u: inside(u), v: inside(v) };
}

/** The view, zoomed, in which the image point at (x, y) of the pane stays where it is. */
function zoomedAt(pane, view, zoom, x, y) {
  const now = placement(pane, view);
  const limit = Math.max(MAX_SCALE / now.fit, 1);
  const next = Math.min(Math.max(zoom, 1), limit);
  const ratio = next / view.zoom;
  return covering({
    zoom: next,
    u: (x - now.left) / now.imageWidth + (now.width / 2 - x) / (now.imageWidth * ratio),
    v: (y - now.top) / now.imageHeight + (now.height / 2 - y) / (now.imageHeight * ratio),
  });
}

function readable(scale) {
  return `${scale >= 10 ? Math.round(scale) : Number(scale.toPrecision(2))}×`;
}

// --- Pictures: one <img> that knows whether it can be shown ---------------------------------

class Picture {
  constructor(url) {
    this.url = url;
    this.image = document.createElement("img");
    this.image.draggable = false;
    this.broken = false;
    this.settled = null;
  }

  /** Starts loading; the promise is fulfilled when the picture can be shown or never will. */
  load() {
    if (!this.settled) {
      this.image.src = this.url;
      this.settled = this.image.decode().catch(() => {
        // A picture too large to be decoded ahead can still be shown.
        this.broken = !this.image.complete || this.image.naturalWidth === 0;
      });
    }
    return this.settled;
  }
}

// --- The viewer -----------------------------------------------------------------------------

class Viewer {
  constructor(parent, data) {
    this.data = data;
    this.turn = 0;
    this.frame = [];
    this.slots = []; // the elements of each pane; kept for good, listeners and all
    this.view = WHOLE;
    this.buttons = new Map();
    this.pointers = new Map();
    this.lastWheel = { time: -Infinity, mine: false };
    this.choice = this.choiceOf(data);
    this.stop = new AbortController();
    this.resizes = new ResizeObserver(() => this.place());
    this.build();
    this.listen();
    parent.appendChild(this.root);
  }

  choiceOf(data) {
    if (!choices.has(data.key)) {
      choices.set(data.key, { visible: new Map(), opacity: data.opacity });
    }
    return choices.get(data.key);
  }

  build() {
    this.root = make("div", "viewer", { role: "group" });
    this.layerGroup = make("div", "layers", { role: "group" });
    this.opacityLabel = make("label", "opacity");
    this.opacityName = make("span", "");
    this.slider = make("input", "", { type: "range", min: 0, max: 100, step: 5 });
    this.opacityValue = make("output", "number");
    this.opacityLabel.append(this.opacityName, this.slider, this.opacityValue);
    this.zoomGroup = make("div", "zoom", { role: "group" });
    this.zoomOut = make("button", "square", { type: "button" });
    this.zoomIn = make("button", "square", { type: "button" });
    this.zoomValue = make("output", "number");
    this.fit = make("button", "", { type: "button" });
    this.help = make("button", "square", { type: "button", "aria-expanded": "false" });
    this.zoomOut.textContent = "−";
    this.zoomIn.textContent = "+";
    this.help.textContent = "?";
    this.zoomGroup.append(this.zoomOut, this.zoomValue, this.zoomIn, this.fit, this.help);
    this.toolbar = make("div", "toolbar");
    this.toolbar.append(this.layerGroup, this.opacityLabel, this.zoomGroup);
    this.helpText = make("p", "help");
    this.helpText.hidden = true;
    this.panes = make("div", "panes", { tabindex: 0, role: "group" });
    this.legend = make("ul", "legend");
    this.root.append(this.toolbar, this.helpText, this.legend, this.panes);
  }

  destroy() {
    this.turn = -1;
    this.stop.abort();
    this.resizes.disconnect();
    this.root.remove();
  }

  // --- New data ---

  update(data) {
    const turn = ++this.turn;
    this.data = data;
    this.choice = this.choiceOf(data);
    this.root.style.setProperty("--height", `${data.height_px}px`);
    this.setTexts(data.texts);
    const next = data.panes.map((pane, index) => this.prepared(pane, index));
    const ready = this.whenVisibleOnesAreReady(next, turn);
    if (this.frame.length === 0) this.show(next);
    ready.then(() => {
      if (this.turn === turn) this.show(next);
    });
    return turn;
  }

  prepared(pane, index) {
    const layers = pane.layers.map((layer) => {
      const same = this.frame[index]?.layers.find((other) => other.picture.url === layer.url);
      // A picture that failed gets another chance with every update.
      const kept = same && !same.picture.broken;
      return { ...layer, picture: kept ? same.picture : new Picture(layer.url) };
    });
    this.slots[index] ??= this.newSlot();
    return { ...pane, layers, slot: this.slots[index] };
  }

  async whenVisibleOnesAreReady(frame, turn) {
    const wanted = frame
      .flatMap((pane) => pane.layers)
      .filter((layer) => this.isVisible(layer.name))
      .map((layer) => layer.picture.load());
    const busy = setTimeout(() => {
      if (this.turn === turn) this.root.setAttribute("aria-busy", "true");
    }, BUSY_AFTER_MS);
    let deadline;
    const late = new Promise((resolve) => {
      deadline = setTimeout(resolve, SWAP_DEADLINE_MS);
    });
    const all = Promise.all(wanted).then(() => {
      clearTimeout(busy);
      if (this.turn === turn) this.root.removeAttribute("aria-busy");
    });
    await Promise.race([all, late]);
    clearTimeout(deadline);
  }

  show(next) {
    const isOther = (pane, index) => pane.layers[0]?.url !== this.frame[index]?.layers[0]?.url;
    if (next.slice(0, this.frame.length).some(isOther)) this.view = WHOLE;
    this.frame = next;
    for (const pane of next) this.fillSlot(pane);
    setChildren(this.panes, next.map((pane) => pane.slot.element));
    const aspects = next.map((pane) => pane.width_px / pane.height_px);
    if (aspects.length > 0) this.root.style.setProperty("--aspect", String(Math.min(...aspects)));
    this.showButtons();
    this.render();
    // The hidden ones come last, so that switching them on costs no waiting.
    for (const { picture } of next.flatMap((pane) => pane.layers)) {
      picture.load().then(() => this.renderProblems());
    }
  }

  newSlot() {
    const slot = {
      element: make("figure", "pane"),
      caption: make("figcaption", ""),
      title: make("span", "title"),
      note: make("span", "note number"),
      view: make("div", "view"),
      stage: make("div", "stage"),
      mark: make("div", "mark"),
      problem: make("p", "problem", { role: "status" }),
    };
    slot.caption.append(slot.title, slot.note);
    slot.view.append(slot.stage, slot.mark, slot.problem);
    slot.element.append(slot.caption, slot.view);
    this.listenTo(slot.view);
    this.resizes.observe(slot.view);
    return slot;
  }

  fillSlot({ slot, title, note, layers, width_px, height_px }) {
    slot.caption.hidden = !title && !note;
    setText(slot.title, title);
    slot.title.title = title;
    setText(slot.note, note);
    slot.stage.style.width = `${width_px}px`;
    slot.stage.style.height = `${height_px}px`;
    layers.forEach((layer, index) => {
      layer.picture.image.className = index === 0 ? "" : "overlay";
      layer.picture.image.alt = title ? `${title}: ${layer.title}` : layer.title;
    });
    setChildren(slot.stage, layers.map((layer) => layer.picture.image));
  }

  setTexts(texts) {
    this.root.setAttribute("aria-label", texts.viewer);
    this.panes.setAttribute("aria-label", texts.viewer);
    this.panes.setAttribute("aria-description", texts.help_text);
    this.layerGroup.setAttribute("aria-label", texts.layers);
    this.zoomGroup.setAttribute("aria-label", texts.zoom);
    setText(this.opacityName, texts.opacity);
    nameOf(this.zoomIn, texts.zoom_in);
    nameOf(this.zoomOut, texts.zoom_out);
    setText(this.fit, texts.fit);
    nameOf(this.help, texts.help);
    setText(this.helpText, texts.help_text);
  }

  // --- Layers ---

  /** The layers of all panes by name, in order of first appearance. */
  layersByName() {
    const byName = new Map();
    for (const pane of this.frame) {
      for (const layer of pane.layers) {
        byName.set(layer.name, [...(byName.get(layer.name) ?? []), layer]);
      }
    }
    return byName;
  }

  isVisible(name) {
    return this.choice.visible.get(name) ?? this.data.shown.includes(name);
  }

  toggle(name) {
    this.choice.visible.set(name, !this.isVisible(name));
    this.render();
  }

  showButtons() {
    const byName = this.layersByName();
    const buttons = [...byName].map(([name, [layer]], index) => {
      const button = this.buttons.get(name) ?? this.newButton(name);
      const [digit, title] = button.children;
      setText(digit, index < 9 ? String(index + 1) : "");
      setText(title, layer.title);
      if (index < 9) button.setAttribute("aria-keyshortcuts", String(index + 1));
      return button;
    });
    setChildren(this.layerGroup, buttons);
    this.opacityLabel.hidden = !this.frame.some((pane) => pane.layers.length > 1);
  }

  newButton(name) {
    const button = make("button", "layer", { type: "button" });
    button.append(make("span", "digit", { "aria-hidden": "true" }), make("span", ""));
    button.onclick = () => this.toggle(name);
    this.buttons.set(name, button);
    return button;
  }

  setOpacity(percent) {
    this.choice.opacity = percent / 100;
    this.renderOpacity();
  }

  // --- What follows from data, choice and view ---

  render() {
    for (const [name, button] of this.buttons) {
      button.setAttribute("aria-pressed", String(this.isVisible(name)));
    }
    for (const pane of this.frame) {
      for (const layer of pane.layers) layer.picture.image.hidden = !this.isVisible(layer.name);
    }
    this.renderOpacity();
    this.renderLegend();
    this.renderProblems();
    this.place();
  }

  renderOpacity() {
    const percent = Math.round(this.choice.opacity * 100);
    this.slider.value = String(percent);
    setText(this.opacityValue, `${percent}\u202f%`);
    this.root.style.setProperty("--opacity", String(this.choice.opacity));
  }

  renderProblems() {
    for (const pane of this.frame) {
      const broken = pane.layers.filter(({ name, picture }) => {
        picture.image.classList.toggle("broken", picture.broken);
        return picture.broken && this.isVisible(name);
      });
      const sentences = broken.map(({ title }) => this.data.texts.broken.replace("{layer}", () => title));
      setText(pane.slot.problem, sentences.join(" "));
    }
  }

  /** One row entry per distinct legend; layers that mean the same by their colours share it. */
  renderLegend() {
    const groups = new Map();
    for (const [name, layers] of this.layersByName()) {
      if (!this.isVisible(name)) continue;
      const entries = new Map(layers.flatMap((layer) => layer.legend).map((e) => [e.join("\n"), e]));
      if (entries.size === 0) continue;
      const group = groups.get([...entries.keys()].join("\n\n")) ?? { titles: [], entries };
      group.titles.push(layers[0].title);
      groups.set([...entries.keys()].join("\n\n"), group);
    }
    this.legend.replaceChildren(...[...groups.values()].map((group) => this.legendRow(group)));
  }

  legendRow({ titles, entries }) {
    const row = make("li", "");
    const name = make("span", "of");
    name.textContent = titles.join(", ");
    row.append(name);
    for (const [color, words] of entries.values()) {
      const entry = make("span", "entry");
      const swatch = make("span", "swatch", { "aria-hidden": "true" });
      swatch.style.backgroundColor = color;
      entry.append(swatch, words);
      row.append(entry);
    }
    return row;
  }

  /** Puts every image where the view wants it. */
  place() {
    for (const pane of this.frame) {
      const { left, top, scale } = placement(pane, this.view);
      pane.slot.stage.style.transform = `translate(${left}px, ${top}px) scale(${scale})`;
      // Below one screen pixel per image pixel nothing is gained by hard edges.
      pane.slot.stage.dataset.scale = scale >= 2 ? "pixels" : scale >= 1 ? "larger" : "smaller";
      pane.slot.mark.hidden = true;
    }
    const zoomed = this.view.zoom > 1;
    this.root.classList.toggle("zoomed", zoomed);
    this.setEnabled(this.fit, zoomed);
    this.setEnabled(this.zoomOut, zoomed);
    if (this.frame.length === 0) return;
    const { scale } = placement(this.frame[0], this.view);
    this.setEnabled(this.zoomIn, scale < MAX_SCALE);
    setText(this.zoomValue, readable(scale));
  }

  /** Says that a button does nothing now; really disabling it would take the focus away. */
  setEnabled(button, enabled) {
    button.setAttribute("aria-disabled", String(!enabled));
  }

  // --- Zoom and pan ---

  setView(view) {
    this.view = view;
    this.place();
  }

  zoomBy(factor, pane = this.frame[0], x = null, y = null) {
    if (!pane) return;
    const { clientWidth, clientHeight } = pane.slot.view;
    const [atX, atY] = [x ?? clientWidth / 2, y ?? clientHeight / 2];
    this.setView(zoomedAt(pane, this.view, this.view.zoom * factor, atX, atY));
  }

  panBy(dx, dy, pane = this.frame[0]) {
    if (!pane) return;
    const { zoom, u, v } = this.view;
    const { imageWidth, imageHeight } = placement(pane, this.view);
    this.setView(covering({ zoom, u: u - dx / imageWidth, v: v - dy / imageHeight }));
  }

  zoomToFit() {
    this.setView(WHOLE);
  }

  // --- Gestures ---

  listen() {
    const { signal } = this.stop;
    this.slider.oninput = () => this.setOpacity(Number(this.slider.value));
    this.zoomIn.onclick = () => this.zoomBy(ZOOM_STEP);
    this.zoomOut.onclick = () => this.zoomBy(1 / ZOOM_STEP);
    this.fit.onclick = () => this.zoomToFit();
    this.help.onclick = () => {
      this.helpText.hidden = !this.helpText.hidden;
      this.help.setAttribute("aria-expanded", String(!this.helpText.hidden));
    };
    this.root.addEventListener("keydown", (event) => this.onKey(event), { signal });
    window.addEventListener("wheel", (event) => this.onPageWheel(event), {
      signal,
      passive: true,
      capture: true,
    });
  }

  listenTo(view) {
    const { signal } = this.stop;
    const paneOf = () => this.frame.find((pane) => pane.slot.view === view);
    const on = (type, handler, options = {}) =>
      view.addEventListener(type, (event) => handler.call(this, event, paneOf()), { signal, ...options });
    on("wheel", this.onWheel, { passive: false });
    on("pointerdown", this.onPointerDown);
    on("pointermove", this.onPointerMove);
    on("pointerup", this.onPointerEnd);
    on("pointercancel", this.onPointerEnd);
    on("pointerleave", this.hideMarks);
    on("dblclick", this.zoomToFit);
  }

  onKey(event) {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.target === this.slider && !/^[0-9+=_-]$/.test(event.key)) return;
    const action = this.actionOf(event.key);
    if (!action) return;
    action();
    event.preventDefault();
    event.stopPropagation();
  }

  actionOf(key) {
    const name = /^[1-9]$/.test(key) ? [...this.layersByName().keys()][Number(key) - 1] : undefined;
    if (name !== undefined) return () => this.toggle(name);
    if (key === "+" || key === "=") return () => this.zoomBy(ZOOM_STEP);
    if (key === "-" || key === "_") return () => this.zoomBy(1 / ZOOM_STEP);
    if (key === "0") return () => this.zoomToFit();
    const step = { ArrowLeft: [1, 0], ArrowRight: [-1, 0], ArrowUp: [0, 1], ArrowDown: [0, -1] }[key];
    // A whole image cannot be panned, so there the arrows scroll the page as everywhere.
    if (!step || this.view.zoom === 1) return null;
    return () => this.panBy(step[0] * PAN_STEP_PX, step[1] * PAN_STEP_PX);
  }

  /** Notes turns of the wheel elsewhere: a scroll that passes over the viewer stays a scroll. */
  onPageWheel(event) {
    if (this.frame.some((pane) => event.composedPath().includes(pane.slot.view))) return;
    this.lastWheel = { time: event.timeStamp, mine: false };
  }

  onWheel(event, pane) {
    if (event.deltaY === 0) return;
    const continues = event.timeStamp - this.lastWheel.time < WHEEL_GESTURE_MS;
    const idle = this.view.zoom === 1 && event.deltaY > 0;
    // Zooming out of a whole image does nothing, so that turn scrolls the page. Whoever got the
    // first turn of a gesture keeps the rest of it.
    const mine = event.ctrlKey || (continues ? this.lastWheel.mine : !idle);
    this.lastWheel = { time: event.timeStamp, mine };
    if (!mine) return;
    event.preventDefault();
    const pixels = event.deltaY * [1, WHEEL_LINE_PX, pane.slot.view.clientHeight][event.deltaMode];
    const { left, top } = pane.slot.view.getBoundingClientRect();
    // A pinch on a touchpad arrives as small turns with ctrlKey set.
    const factor = Math.exp(-pixels * (event.ctrlKey ? 0.01 : 0.002));
    this.zoomBy(factor, pane, event.clientX - left, event.clientY - top);
  }

  onPointerDown(event, pane) {
    if (event.button !== 0) return;
    this.panes.focus({ preventScroll: true });
    pane.slot.view.setPointerCapture(event.pointerId);
    this.pointers.set(event.pointerId, { x: event.clientX, y: event.clientY, view: pane.slot.view });
    this.root.classList.add("dragging");
  }

  onPointerMove(event, pane) {
    const before = this.pointers.get(event.pointerId);
    if (!before) {
      this.showMarks(event, pane);
      return;
    }
    const now = { x: event.clientX, y: event.clientY, view: pane.slot.view };
    this.pointers.set(event.pointerId, now);
    const fingers = [...this.pointers.values()].filter((pointer) => pointer.view === pane.slot.view);
    if (fingers.length === 2) {
      const other = fingers.find((pointer) => pointer !== now);
      this.pinch(pane, before, now, other);
    } else {
      this.panBy(now.x - before.x, now.y - before.y, pane);
    }
  }

  pinch(pane, before, now, other) {
    const { left, top } = pane.slot.view.getBoundingClientRect();
    const distance = (point) => Math.hypot(point.x - other.x, point.y - other.y) || 1;
    const [x, y] = [(now.x + other.x) / 2 - left, (now.y + other.y) / 2 - top];
    this.zoomBy(distance(now) / distance(before), pane, x, y);
    this.panBy((now.x - before.x) / 2, (now.y - before.y) / 2, pane);
  }

  onPointerEnd(event) {
    this.pointers.delete(event.pointerId);
    this.root.classList.toggle("dragging", this.pointers.size > 0);
  }

  /** Marks the spot under the mouse in the other panes. */
  showMarks(event, pane) {
    if (event.pointerType !== "mouse" || this.frame.length < 2) return;
    const rect = pane.slot.view.getBoundingClientRect();
    const here = placement(pane, this.view);
    const u = (event.clientX - rect.left - here.left) / here.imageWidth;
    const v = (event.clientY - rect.top - here.top) / here.imageHeight;
    const inside = u >= 0 && u <= 1 && v >= 0 && v <= 1;
    for (const other of this.frame) {
      const there = placement(other, this.view);
      other.slot.mark.hidden = other === pane || !inside;
      other.slot.mark.style.left = `${there.left + u * there.imageWidth}px`;
      other.slot.mark.style.top = `${there.top + v * there.imageHeight}px`;
    }
  }

  hideMarks() {
    for (const pane of this.frame) pane.slot.mark.hidden = true;
  }
}
