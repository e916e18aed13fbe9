/*
 * The gallery. Only choosing an item calls back to Python; everything else happens here.
 *
 * The `grid` says where every item lies; it follows from the width, the chosen size and the
 * items alone. The cells in view, a margin, and the one that Tab leads to are in the document;
 * a cell belongs to an item's position, so it outlives new data in which the item still is.
 *
 * The `anchor` is the first item in view. Whatever changes the grid puts it back where it was,
 * and scrolls on only for a selected item that would otherwise leave the view.
 */

const LEAST_WIDTH_PX = { small: 104, medium: 152, large: 232 };
const GAP_PX = 12;
const MARGIN_ROWS = 2;
const NARROWEST = 0.75; // aspects a cell takes on; pictures beyond them leave ground visible
const WIDEST = 1.6;
const TITLE_LINE_EM = 1.7;
const BADGE_LINE_EM = 1.6;
const FAST_PX_PER_MS = 3;
const LONGEST_FRAME_MS = 50;
const SETTLED_MS = 120;
const START_OPACITY = 0.6;

const galleries = new WeakMap(); // where it is mounted → Gallery
const choices = new Map(); // gallery key → what a person chose, see `choiceOf`

export default function (component) {
  const { parentElement } = component;
  const data = JSON.parse(new TextDecoder().decode(component.data));
  let gallery = galleries.get(parentElement);
  if (!gallery) {
    gallery = new Gallery(parentElement, data);
    galleries.set(parentElement, gallery);
  }
  gallery.choose = (position) => component.setTriggerValue("selected", position);
  const turn = gallery.update(data);
  return () => {
    // The clean-up of an overtaken update is called too, while the gallery lives on. Waiting
    // a moment tells the two apart.
    setTimeout(() => {
      if (gallery.turn !== turn || galleries.get(parentElement) !== gallery) return;
      galleries.delete(parentElement);
      gallery.destroy();
    });
  };
}

function choiceOf(data) {
  if (!choices.has(data.key)) {
    choices.set(data.key, {
      masks: data.overlay,
      opacity: START_OPACITY,
      size: "medium",
      anchor: null, // { position, shift: share of a row above the view }; null at the top
      active: null, // position of the item that Tab leads to
      clicked: null, // position chosen here that Python has not confirmed yet
      selected: null, // position last heard from Python
      seen: null, // the selected item's position while it is in view as a whole
    });
  }
  return choices.get(data.key);
}

// --- Items: the columns of `_columns` in Python, read back ----------------------------------

function itemsOf({ steps, titles, thumbs, masks, sizes, size_of, badges, badges_of }) {
  let position = 0;
  const positions = steps.map((step) => (position += step));
  const indexOf = new Map(positions.map((each, index) => [each, index]));
  const whole = ({ head, tail }, middle) => (middle === null ? null : head + middle + tail);
  const maskMiddles = masks.middles ?? thumbs.middles;
  return {
    num: positions.length,
    positions,
    indexOf: (position) => indexOf.get(position) ?? -1,
    at: (index) => ({
      position: positions[index],
      title: whole(titles, titles.middles[index]),
      thumb: whole(thumbs, thumbs.middles[index]),
      mask: whole(masks, maskMiddles[index]),
      size: sizes[size_of[index]],
      badges: badges[badges_of[index]],
    }),
    hasMasks: maskMiddles.some((middle) => middle !== null),
    hasBadges: badges.some((some) => some.length > 0),
    aspect: medianAspect(sizes, size_of),
  };
}

function medianAspect(sizes, size_of) {
  if (size_of.length === 0) return 1;
  const aspects = size_of.map((index) => sizes[index][0] / sizes[index][1]).sort((a, b) => a - b);
  return Math.min(Math.max(aspects[aspects.length >> 1], NARROWEST), WIDEST);
}

// --- Geometry -------------------------------------------------------------------------------

function gridOf(items, width, size, emPx) {
  const numColumns = Math.max(Math.floor((width + GAP_PX) / (LEAST_WIDTH_PX[size] + GAP_PX)), 1);
  const cellWidth = Math.floor((width + GAP_PX) / numColumns) - GAP_PX;
  const pictureHeight = Math.round(cellWidth / items.aspect);
  const lines = TITLE_LINE_EM + (items.hasBadges ? BADGE_LINE_EM : 0);
  const cellHeight = pictureHeight + Math.round(lines * emPx);
  const numRows = Math.ceil(items.num / numColumns);
  return {
    numColumns,
    numRows,
    cellWidth,
    cellHeight,
    pictureHeight,
    rowHeight: cellHeight + GAP_PX,
    height: Math.max(numRows * (cellHeight + GAP_PX) - GAP_PX, 0),
  };
}

/** The part of the cell that an image covers, in percent of the cell's picture area. */
function frameOf(grid, [width, height]) {
  const aspect = (width * grid.pictureHeight) / (height * grid.cellWidth);
  return { width: 100 * Math.min(aspect, 1), height: 100 * Math.min(1 / aspect, 1) };
}

// --- Pictures: one <img> that is asked for late and can be given up -------------------------

class Picture {
  constructor(className, url, alt) {
    this.url = url;
    this.asked = false;
    this.image = make("img", className, { alt, decoding: "async" });
    this.image.draggable = false;
    this.image.onload = () => this.image.classList.add("ready");
    this.image.onerror = () => this.image.classList.add("broken");
  }

  load() {
    if (this.asked) return;
    this.asked = true;
    this.image.src = this.url;
    // What the browser still has at hand appears at once instead of fading in.
    if (this.image.complete && this.image.naturalWidth > 0) this.image.classList.add("ready", "known");
  }

  /** Frees the connection of a picture that nobody waits for any more. */
  drop() {
    this.image.onload = this.image.onerror = null;
    if (!this.image.complete) this.image.removeAttribute("src");
  }
}

// --- Cells ----------------------------------------------------------------------------------

class Cell {
  constructor(item, texts) {
    this.item = item;
    this.signature = JSON.stringify(item);
    this.element = make("div", "cell", { role: "option", title: item.title, tabindex: -1 });
    this.element.dataset.position = item.position;
    const words = item.badges.map(([word]) => word);
    this.element.setAttribute("aria-label", [item.title, ...words].join(", "));
    this.thumb = new Picture("thumb", item.thumb, item.title);
    this.mask = item.mask === null ? null : new Picture("mask", item.mask, "");
    this.picture = make("div", "picture");
    this.frame = make("div", "frame");
    this.frame.append(this.thumb.image);
    if (this.mask) {
      this.frame.append(this.mask.image, make("span", "mask-mark", { title: texts.mask_broken }));
    }
    this.picture.append(this.frame, make("span", "mark", { title: texts.broken }));
    this.element.append(this.picture, this.title(), this.badges());
  }

  title() {
    const title = make("div", "title");
    const words = make("bdi", "");
    words.textContent = this.item.title;
    title.append(words);
    return title;
  }

  badges() {
    const badges = make("div", "badges");
    for (const [word, kind] of this.item.badges) {
      const badge = make("span", "badge");
      badge.dataset.kind = kind;
      badge.textContent = word;
      badges.append(badge);
    }
    return badges;
  }

  place(grid, index, num) {
    const { width, height } = frameOf(grid, this.item.size);
    this.frame.style.width = `${width}%`;
    this.frame.style.height = `${height}%`;
    const x = (index % grid.numColumns) * (grid.cellWidth + GAP_PX);
    const y = Math.floor(index / grid.numColumns) * grid.rowHeight;
    this.element.style.transform = `translate(${x}px, ${y}px)`;
    this.element.setAttribute("aria-setsize", String(num));
    this.element.setAttribute("aria-posinset", String(index + 1));
  }

  remove() {
    this.thumb.drop();
    this.mask?.drop();
    this.element.remove();
  }
}

// --- The gallery ----------------------------------------------------------------------------

class Gallery {
  constructor(parent, data) {
    this.turn = 0;
    this.data = data;
    this.items = itemsOf(data.items);
    this.choice = choiceOf(data);
    this.cells = new Map(); // position → Cell
    this.grid = null; // until it has a width
    this.reveals = null; // position to be scrolled to once there is a grid
    this.ownTop = 0; // where the last scroll of our own ended
    this.last = { top: 0, time: 0 };
    this.resizes = new ResizeObserver(() => this.arrange());
    this.build();
    this.listen();
    parent.appendChild(this.root);
    this.resizes.observe(this.list);
  }

  build() {
    this.root = make("div", "gallery", { role: "group" });
    this.count = make("output", "count number");
    this.masks = make("button", "switch", { type: "button" });
    this.masks.append(make("span", "layers-icon", { "aria-hidden": "true" }));
    this.masksName = make("span", "");
    this.masks.append(this.masksName);
    this.opacityLabel = make("label", "opacity");
    this.opacityName = make("span", "");
    this.slider = make("input", "", { type: "range", min: 0, max: 100, step: 5 });
    this.opacityValue = make("output", "number");
    this.opacityLabel.append(this.opacityName, this.slider, this.opacityValue);
    this.sizes = make("div", "sizes", { role: "group" });
    this.sizeButtons = new Map();
    for (const size of Object.keys(LEAST_WIDTH_PX)) {
      const button = make("button", "square", { type: "button" });
      button.append(make("span", `${size}-icon`, { "aria-hidden": "true" }));
      this.sizeButtons.set(size, button);
      this.sizes.append(button);
    }
    this.toolbar = make("div", "toolbar");
    this.toolbar.append(this.count, this.masks, this.opacityLabel, this.sizes);
    this.list = make("div", "list", { role: "listbox" });
    this.canvas = make("div", "canvas", { role: "presentation" });
    this.list.append(this.canvas);
    this.empty = make("p", "empty");
    this.root.append(this.toolbar, this.list, this.empty);
  }

  listen() {
    this.masks.onclick = () => this.change({ masks: !this.choice.masks });
    this.slider.oninput = () => this.change({ opacity: Number(this.slider.value) / 100 });
    for (const [size, button] of this.sizeButtons) button.onclick = () => this.change({ size });
    this.list.onscroll = () => this.onScroll();
    this.list.onkeydown = (event) => this.onKey(event);
    this.canvas.onclick = (event) => this.onClick(event);
    this.canvas.addEventListener("focusin", (event) => this.onFocus(event));
  }

  destroy() {
    this.turn = -1;
    this.resizes.disconnect();
    cancelAnimationFrame(this.nextFrame);
    clearTimeout(this.settling);
    for (const cell of this.cells.values()) cell.remove();
    this.root.remove();
  }

  // --- New data ---

  update(data) {
    const turn = ++this.turn;
    const hadFocus = this.list.contains(this.root.getRootNode().activeElement);
    this.data = data;
    this.choice = choiceOf(data);
    this.items = itemsOf(data.items);
    this.hear(data.selected);
    this.setTexts(data.texts);
    this.root.style.setProperty("--height", `${data.height_px}px`);
    this.list.hidden = this.items.num === 0;
    this.empty.hidden = this.items.num > 0;
    this.dropCellsOfOtherItems();
    this.showChoice();
    this.arrange();
    if (hadFocus && !this.list.contains(this.root.getRootNode().activeElement)) {
      this.cells.get(this.choice.active)?.element.focus({ preventScroll: true });
    }
    return turn;
  }

  /** Takes over what Python says is selected; only news are scrolled to. */
  hear(selected) {
    const isEcho = selected === this.choice.clicked;
    const isNews = selected !== this.choice.selected && !isEcho;
    if (isEcho) this.choice.clicked = null;
    const isThere = (position) => this.items.indexOf(position) >= 0;
    this.choice.selected = selected;
    this.selected = selected;
    if (isNews && isThere(selected)) {
      this.reveals = selected;
      this.choice.active = selected;
    }
    if (this.choice.anchor && !isThere(this.choice.anchor.position)) {
      // Other samples were asked for: begin at the top, unless the selected one is among them.
      this.choice.anchor = null;
      if (isThere(selected)) this.reveals = selected;
    }
    if (!isThere(this.choice.active)) {
      this.choice.active = isThere(selected) ? selected : (this.items.positions[0] ?? null);
    }
  }

  setTexts(texts) {
    this.root.setAttribute("aria-label", texts.gallery);
    this.list.setAttribute("aria-label", texts.gallery);
    setText(this.count, texts.count);
    setText(this.empty, texts.empty);
    setText(this.masksName, texts.masks);
    setText(this.opacityName, texts.opacity);
    this.sizes.setAttribute("aria-label", texts.size);
    for (const [size, button] of this.sizeButtons) nameOf(button, texts[size]);
  }

  dropCellsOfOtherItems() {
    for (const [position, cell] of this.cells) {
      const index = this.items.indexOf(position);
      if (index >= 0 && cell.signature === JSON.stringify(this.items.at(index))) continue;
      this.cells.delete(position);
      cell.remove();
    }
  }

  // --- What a person chooses ---

  change(choice) {
    Object.assign(this.choice, choice);
    this.showChoice();
    if ("size" in choice) this.arrange();
    this.load();
  }

  showChoice() {
    const { masks, opacity, size } = this.choice;
    const percent = Math.round(opacity * 100);
    this.root.classList.toggle("unmasked", !masks);
    this.root.style.setProperty("--opacity", String(opacity));
    this.masks.hidden = this.opacityLabel.hidden = !this.items.hasMasks;
    this.masks.setAttribute("aria-pressed", String(masks));
    this.slider.disabled = !masks;
    this.slider.value = String(percent);
    setText(this.opacityValue, `${percent}\u202f%`);
    for (const [name, button] of this.sizeButtons) {
      button.setAttribute("aria-pressed", String(name === size));
    }
  }

  // --- The grid ---

  /** Lays everything out anew, with the same items in view as before. */
  arrange() {
    const width = this.canvas.clientWidth;
    if (width === 0) return; // not to be seen now
    const emPx = parseFloat(getComputedStyle(this.root).fontSize);
    const grid = gridOf(this.items, width, this.choice.size, emPx);
    this.grid = grid;
    this.root.style.setProperty("--cell-width", `${grid.cellWidth}px`);
    this.root.style.setProperty("--cell-height", `${grid.cellHeight}px`);
    this.root.style.setProperty("--picture-height", `${grid.pictureHeight}px`);
    this.canvas.style.height = `${grid.height}px`;
    this.list.classList.toggle("scrolls", this.list.scrollHeight > this.list.clientHeight);
    const { anchor, seen } = this.choice;
    const row = anchor ? this.rowOf(anchor.position) + anchor.shift : 0;
    this.scrollTo(row * grid.rowHeight);
    if (seen === this.selected && this.items.indexOf(seen) >= 0) this.reveals ??= seen;
    if (this.reveals !== null) this.reveal(this.reveals);
    this.reveals = null;
    for (const [position, cell] of this.cells) {
      cell.place(grid, this.items.indexOf(position), this.items.num);
    }
    this.render();
  }

  rowOf(position) {
    return Math.floor(this.items.indexOf(position) / this.grid.numColumns);
  }

  scrollTo(top) {
    // Even a scroll to where the list already is would end the swing of a finger or a wheel.
    if (Math.abs(this.list.scrollTop - top) >= 1) this.list.scrollTop = top;
    this.ownTop = this.list.scrollTop;
  }

  /** How far the list may be scrolled at least and at most for the whole item to be seen. */
  topsThatShow(position) {
    const top = this.rowOf(position) * this.grid.rowHeight;
    return { least: top + this.grid.cellHeight - this.viewHeight(), most: top };
  }

  /** Scrolls no further than needed to see the whole item. */
  reveal(position) {
    const { least, most } = this.topsThatShow(position);
    if (this.list.scrollTop < least) this.list.scrollTop = Math.ceil(least);
    if (this.list.scrollTop > most) this.list.scrollTop = most;
    this.anchorHere();
  }

  sees(position) {
    if (this.items.indexOf(position) < 0) return false;
    const { least, most } = this.topsThatShow(position);
    return least <= this.list.scrollTop && this.list.scrollTop <= most;
  }

  viewHeight() {
    const { paddingTop, paddingBottom } = getComputedStyle(this.list);
    return this.list.clientHeight - parseFloat(paddingTop) - parseFloat(paddingBottom);
  }

  anchorHere() {
    const { scrollTop } = this.list;
    const { numColumns, numRows, rowHeight } = this.grid;
    const row = Math.min(Math.floor(scrollTop / rowHeight), numRows - 1);
    const shift = scrollTop / rowHeight - row;
    const atTop = scrollTop <= 0;
    this.choice.anchor = atTop ? null : { position: this.items.positions[row * numColumns], shift };
    this.ownTop = scrollTop;
  }

  rowsInView(margin) {
    const { rowHeight, numRows } = this.grid;
    const { scrollTop, clientHeight } = this.list;
    const first = Math.max(Math.floor(scrollTop / rowHeight) - margin, 0);
    const last = Math.min(Math.floor((scrollTop + clientHeight) / rowHeight) + margin, numRows - 1);
    return { first, last };
  }

  /** The indices in view and the one that Tab leads to, ascending. */
  wanted() {
    const { first, last } = this.rowsInView(MARGIN_ROWS);
    const begin = first * this.grid.numColumns;
    const end = Math.min((last + 1) * this.grid.numColumns, this.items.num);
    const indices = [];
    for (let index = begin; index < end; index++) indices.push(index);
    const active = this.items.indexOf(this.choice.active);
    if (active >= end) indices.push(active);
    if (active >= 0 && active < begin) indices.unshift(active);
    return indices;
  }

  /** Puts exactly the wanted cells into the document, in order; those already there stay. */
  render() {
    const wanted = this.wanted();
    const positions = new Set(wanted.map((index) => this.items.positions[index]));
    for (const [position, cell] of this.cells) {
      if (positions.has(position)) continue;
      this.cells.delete(position);
      cell.remove();
    }
    let next = this.canvas.firstElementChild;
    for (const index of wanted) {
      const cell = this.cellAt(index);
      if (cell.element === next) next = next.nextElementSibling;
      else this.canvas.insertBefore(cell.element, next);
    }
    this.mark();
    if (this.isCalm()) this.load();
  }

  cellAt(index) {
    const position = this.items.positions[index];
    if (!this.cells.has(position)) {
      const cell = new Cell(this.items.at(index), this.data.texts);
      cell.place(this.grid, index, this.items.num);
      this.cells.set(position, cell);
    }
    return this.cells.get(position);
  }

  /** Shows which item is selected and which one Tab leads to. */
  mark() {
    this.choice.seen = this.sees(this.selected) ? this.selected : null;
    for (const [position, { element }] of this.cells) {
      element.setAttribute("aria-selected", String(position === this.selected));
      element.tabIndex = position === this.choice.active ? 0 : -1;
    }
  }

  // --- Loading ---

  /** Whether what is in view will stay for a moment; while it rushes by, nothing is asked for. */
  isCalm() {
    const now = { top: this.list.scrollTop, time: performance.now() };
    const passed = Math.min(now.time - this.last.time, LONGEST_FRAME_MS);
    const speed = Math.abs(now.top - this.last.top) / passed;
    this.last = now;
    clearTimeout(this.settling);
    if (speed < FAST_PX_PER_MS) return true;
    this.settling = setTimeout(() => this.load(), SETTLED_MS);
    return false;
  }

  /** Asks for the pictures in the document, those in view first. */
  load() {
    if (!this.grid) return;
    const { first, last } = this.rowsInView(0);
    const rowOf = (cell) => this.rowOf(cell.item.position);
    const inView = (cell) => rowOf(cell) >= first && rowOf(cell) <= last;
    const cells = [...this.cells.values()];
    for (const cell of [...cells.filter(inView), ...cells.filter((cell) => !inView(cell))]) {
      cell.thumb.load();
      if (this.choice.masks) cell.mask?.load();
    }
  }

  // --- Gestures ---

  onScroll() {
    if (!this.grid) return;
    // The echo of a scroll of our own must not move the anchor: rounding would add up.
    if (this.list.scrollTop !== this.ownTop) this.anchorHere();
    cancelAnimationFrame(this.nextFrame);
    this.nextFrame = requestAnimationFrame(() => this.render());
  }

  positionOf(event) {
    const cell = event.target.closest(".cell");
    return cell ? Number(cell.dataset.position) : null;
  }

  onClick(event) {
    const position = this.positionOf(event);
    if (position !== null) this.select(position);
  }

  onFocus(event) {
    this.choice.active = this.positionOf(event);
    this.mark();
  }

  select(position) {
    this.choice.clicked = position;
    this.selected = position; // shown at once; new data has the last word
    this.mark();
    this.choose(position);
  }

  onKey(event) {
    const position = this.positionOf(event);
    if (position === null || event.ctrlKey || event.metaKey || event.altKey) return;
    const index = this.items.indexOf(position);
    if (event.key === "Enter" || event.key === " ") {
      if (!event.repeat) this.select(position);
    } else {
      const target = this.targetOf(event.key, index);
      if (target === null) return;
      this.focusOn(target);
    }
    event.preventDefault();
    event.stopPropagation();
  }

  /** The index that a key leads to from another one; itself where there is nothing further. */
  targetOf(key, index) {
    const { numColumns, rowHeight } = this.grid;
    const last = this.items.num - 1;
    const page = Math.max(Math.floor(this.viewHeight() / rowHeight), 1) * numColumns;
    const step = {
      ArrowLeft: -1,
      ArrowRight: 1,
      ArrowUp: -numColumns,
      ArrowDown: numColumns,
      PageUp: -page,
      PageDown: page,
    }[key];
    if (key === "Home") return 0;
    if (key === "End") return last;
    if (step === undefined) return null;
    const target = index + step;
    if (target >= 0 && target <= last) return target;
    if (key === "PageUp") return 0;
    // The last row may lack the column; what it has is still below.
    const isAboveLastRow = Math.floor(index / numColumns) < Math.floor(last / numColumns);
    return key === "PageDown" || (key === "ArrowDown" && isAboveLastRow) ? last : index;
  }

  focusOn(index) {
    this.choice.active = this.items.positions[index];
    this.reveal(this.choice.active);
    this.render();
    this.cells.get(this.choice.active).element.focus({ preventScroll: true });
  }
}
