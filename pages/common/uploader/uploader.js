/*
 * The uploader. Files are sent in chunks to the routes of engine/web/uploads.py, which know for
 * every upload how many bytes have arrived and the digest of each chunk. So going on is always:
 * ask where, compare what is there with the file at hand, send the rest.
 *
 * A `Session` holds the uploads of one uploader key. It lives as long as the tab, is not touched
 * by reruns, and works on while no `View` of it is mounted because another page is shown.
 * Python hears of a file that has arrived, and of a ticket that has run out.
 */

const MIB = 1 << 20;
const FIRST_RETRY_MS = 500;
const LONGEST_RETRY_MS = 20_000;
const STALLED_MS = 60_000;
const RENEW_MS = 15_000;
const RENDER_MS = 200;
const SPEED_WINDOW_MS = 10_000;
const FORGET_TRIES = 4;

const sessions = new Map(); // uploader key → Session
const views = new WeakMap(); // where it is mounted → View

export default function (component) {
  const { parentElement, data, setTriggerValue } = component;
  if (!sessions.has(data.key)) sessions.set(data.key, new Session());
  const session = sessions.get(data.key);
  let view = views.get(parentElement);
  if (!view || view.session !== session) {
    view?.destroy();
    view = new View(parentElement, session);
    views.set(parentElement, view);
  }
  session.view = view;
  session.tell = setTriggerValue;
  session.update(data);
  const turn = ++view.turn;
  return () => {
    // The clean-up of an overtaken update is called too, while the view lives on. Waiting
    // a moment tells the two apart.
    setTimeout(() => {
      if (view.turn !== turn || views.get(parentElement) !== view) return;
      views.delete(parentElement);
      view.destroy();
    });
  };
}

// --- SHA-256 ----------------------------------------------------------------------------------

const hex = (bytes) => [...bytes].map((byte) => byte.toString(16).padStart(2, "0")).join("");

const unhex = (text) => Uint8Array.from(text.match(/../g), (pair) => parseInt(pair, 16));

async function sha256(buffer) {
  // Browsers keep their own to pages that came by https or from this machine.
  const subtle = globalThis.crypto?.subtle;
  const bytes = subtle
    ? new Uint8Array(await subtle.digest("SHA-256", buffer))
    : ownSha256(new Uint8Array(buffer));
  return hex(bytes);
}

/** The constants of FIPS 180-4: 32 bits of the fractions of roots of the first 64 primes. */
const [ROUND_CONSTANTS, FIRST_STATE] = (() => {
  const primes = [];
  for (let number = 2; primes.length < 64; number++) {
    if (primes.every((prime) => number % prime)) primes.push(number);
  }
  const fraction = (root) => ((root % 1) * 2 ** 32) | 0;
  return [
    Int32Array.from(primes, (prime) => fraction(Math.cbrt(prime))),
    Int32Array.from(primes.slice(0, 8), (prime) => fraction(Math.sqrt(prime))),
  ];
})();

function ownSha256(bytes) {
  const state = Int32Array.from(FIRST_STATE);
  const words = new Int32Array(64);
  const whole = bytes.length - (bytes.length % 64);
  const tail = new Uint8Array(bytes.length % 64 < 56 ? 64 : 128);
  tail.set(bytes.subarray(whole));
  tail[bytes.length % 64] = 0x80;
  const lengthAt = new DataView(tail.buffer, tail.length - 8);
  lengthAt.setUint32(0, Math.floor(bytes.length / 2 ** 29));
  lengthAt.setUint32(4, (bytes.length * 8) >>> 0);
  const body = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  for (let at = 0; at < whole; at += 64) mixBlock(state, words, body, at);
  const end = new DataView(tail.buffer);
  for (let at = 0; at < tail.length; at += 64) mixBlock(state, words, end, at);
  const digest = new DataView(new ArrayBuffer(32));
  state.forEach((word, index) => digest.setInt32(index * 4, word));
  return new Uint8Array(digest.buffer);
}

function mixBlock(state, words, view, at) {
  const turned = (word, by) => (word >>> by) | (word << (32 - by));
  for (let i = 0; i < 16; i++) words[i] = view.getInt32(at + i * 4);
  for (let i = 16; i < 64; i++) {
    const [early, late] = [words[i - 15], words[i - 2]];
    const s0 = turned(early, 7) ^ turned(early, 18) ^ (early >>> 3);
    const s1 = turned(late, 17) ^ turned(late, 19) ^ (late >>> 10);
    words[i] = (words[i - 16] + s0 + words[i - 7] + s1) | 0;
  }
  let [a, b, c, d, e, f, g, h] = state;
  for (let i = 0; i < 64; i++) {
    const s1 = turned(e, 6) ^ turned(e, 11) ^ turned(e, 25);
    const t1 = (h + s1 + ((e & f) ^ (~e & g)) + ROUND_CONSTANTS[i] + words[i]) | 0;
    const s0 = turned(a, 2) ^ turned(a, 13) ^ turned(a, 22);
    const t2 = (s0 + ((a & b) ^ (a & c) ^ (b & c))) | 0;
    h = g;
    g = f;
    f = e;
    e = (d + t1) | 0;
    d = c;
    c = b;
    b = a;
    a = (t1 + t2) | 0;
  }
  [a, b, c, d, e, f, g, h].forEach((word, index) => (state[index] += word));
}

// --- Requests -----------------------------------------------------------------------------

/** The server, or the file itself, does not let an upload go on; the message is for a person. */
class Stopped extends Error {}

/** One request; status 0 means that there was no answer, or that it was called off. */
function request(method, url, { ticket, body, digest, signal, onSent }) {
  return new Promise((resolve) => {
    const xhr = new XMLHttpRequest();
    const stop = () => xhr.abort();
    let deadline;
    const alive = () => {
      clearTimeout(deadline);
      deadline = setTimeout(stop, STALLED_MS);
    };
    xhr.onloadend = () => {
      clearTimeout(deadline);
      signal?.removeEventListener("abort", stop);
      resolve({ status: xhr.status, body: parsed(xhr.responseText) });
    };
    xhr.upload.onprogress = (event) => {
      alive();
      onSent?.(event.loaded);
    };
    xhr.open(method, url);
    xhr.setRequestHeader("Authorization", `Bearer ${ticket}`);
    if (digest) xhr.setRequestHeader("X-Chunk-SHA256", digest);
    signal?.addEventListener("abort", stop);
    alive();
    xhr.send(body);
  });
}

function parsed(text) {
  try {
    return JSON.parse(text) ?? {};
  } catch {
    return {}; // A proxy on the way answers in HTML.
  }
}

/** Waits, but no longer than until the browser is online again or the signal comes. */
function waitFor(milliseconds, signal) {
  return new Promise((resolve) => {
    const timer = setTimeout(end, milliseconds);
    function end() {
      clearTimeout(timer);
      window.removeEventListener("online", end);
      signal?.removeEventListener("abort", end);
      resolve();
    }
    window.addEventListener("online", end);
    signal?.addEventListener("abort", end);
  });
}

const isOutage = ({ status }) =>
  status === 0 || status === 408 || status === 429 || (status >= 500 && status !== 507);

// --- Words --------------------------------------------------------------------------------

function filled(template, facts) {
  return template.replace(/\{(\w+)\}/g, (whole, name) => String(facts[name] ?? whole));
}

function readableSize(bytes) {
  const units = ["B", "KiB", "MiB", "GiB", "TiB"];
  let power = 0;
  while (bytes >= 1000 && power < units.length - 1) {
    bytes /= 1024;
    power++;
  }
  return `${power > 0 && bytes < 100 ? bytes.toFixed(1) : Math.round(bytes)}\u202f${units[power]}`;
}

function readableTime(texts, seconds) {
  const minutes = Math.round(seconds / 60);
  if (seconds < 100) return filled(texts.left_seconds, { seconds: Math.max(1, Math.round(seconds)) });
  if (minutes < 100) return filled(texts.left_minutes, { minutes });
  return filled(texts.left_hours, { hours: Math.floor(minutes / 60), minutes: minutes % 60 });
}

const percentOf = (part, whole) => Math.floor((100 * part) / whole);

// --- One file -----------------------------------------------------------------------------

class Transfer {
  constructor(session, file) {
    this.session = session;
    this.state = "waiting"; // working, paused, stopped, done
    this.phase = "opening"; // of a working one: comparing, sending, finishing
    this.id = null;
    this.offset = 0; // bytes that are safely on the server
    this.sent = 0; // bytes that have left, the current chunk's included
    this.compared = 0;
    this.retrying = false;
    this.remark = "";
    this.problem = "";
    this.use(file);
  }

  use(file) {
    this.file = file;
    this.chunkBytes = 0;
    this.digests = []; // by chunk, of the file at hand; computed when first needed
    this.ahead = null;
  }

  get texts() {
    return this.session.data.texts;
  }

  isSame(file) {
    return file.name === this.file.name && file.size === this.file.size;
  }

  // --- Its course ---

  async run() {
    this.state = "working";
    this.problem = "";
    this.stop = new AbortController();
    try {
      await this.open();
      do await this.sendRest();
      while (!(await this.finish()));
      this.state = "done";
    } catch (error) {
      // Called off: whoever did that has set the state.
      if (!this.stop.signal.aborted) this.fail(error);
    }
    this.retrying = false;
    this.ahead = null;
  }

  fail(error) {
    this.state = "stopped";
    // The other errors are the browser's: the file has changed, or is on a disk that is gone.
    this.problem = error instanceof Stopped ? error.message : this.texts.unreadable;
    if (!(error instanceof Stopped || error instanceof DOMException)) console.error(error);
  }

  enter(phase) {
    this.phase = phase;
    this.samples = [];
    this.session.render();
  }

  /** Begins the upload on the server, or finds it there and makes sure that it is this file. */
  async open() {
    for (;;) {
      this.enter("opening");
      const { name, size } = this.file;
      // Not called off midway, or an upload would be left whose id nobody knows.
      const answer = await this.call("POST", "", { body: JSON.stringify({ name, size }), patient: true });
      if (answer.status !== 200) throw this.refusal(answer);
      this.take(answer.body);
      if (await this.isFileOf(answer.body.digests)) return;
      await this.beginAnew();
    }
  }

  take({ id, offset, chunk_bytes: chunkBytes }) {
    if (this.chunkBytes !== chunkBytes) this.digests = [];
    [this.id, this.chunkBytes] = [id, chunkBytes];
    this.arrived(offset);
  }

  arrived(offset) {
    this.offset = this.sent = offset;
  }

  async isFileOf(digests) {
    if (digests.length > 0) this.enter("comparing");
    for (const [number, digest] of digests.entries()) {
      this.compared = number / digests.length;
      this.session.renderSoon();
      if (this.stop.signal.aborted) throw new Stopped();
      if ((await this.digestOf(number)) !== digest) return false;
    }
    return true;
  }

  async beginAnew() {
    this.remark = this.texts.different;
    this.session.gone.add(this.id);
    await this.call("DELETE", `/${this.id}`);
    this.id = null;
  }

  async sendRest() {
    this.enter("sending");
    while (this.offset < this.file.size) {
      const { content, digest } = await this.chunk(this.offset / this.chunkBytes);
      const start = this.offset;
      const answer = await this.call("PUT", `/${this.id}?offset=${start}`, {
        body: content,
        digest,
        onSent: (bytes) => this.progress(start + bytes),
      });
      // 409: something else has arrived than was heard of, by an answer that got lost for one.
      const { offset } = answer.body;
      if (![200, 409].includes(answer.status) || offset === undefined) throw this.refusal(answer);
      this.arrived(offset);
      this.progress(offset);
    }
  }

  /** Whether it has arrived as a whole; false: something is missing. */
  async finish() {
    this.enter("finishing");
    const digests = [];
    const count = Math.ceil(this.file.size / this.chunkBytes);
    for (let number = 0; number < count; number++) digests.push(await this.digestOf(number));
    const body = JSON.stringify({ sha256: await sha256(unhex(digests.join("")).buffer) });
    const answer = await this.call("POST", `/${this.id}/finish`, { body, patient: true });
    if (answer.status === 200) {
      this.result = { ...answer.body, name: this.file.name };
      return true;
    }
    if (answer.status === 409 && answer.body.offset !== undefined) {
      this.arrived(answer.body.offset);
      return false;
    }
    if (answer.status !== 422) throw this.refusal(answer);
    // Another tab has sent chunks of another file.
    await this.beginAnew();
    await this.open();
    return false;
  }

  // --- Chunks ---

  /** A chunk and its digest; the next one is prepared while this one is on its way. */
  async chunk(number) {
    const found = this.ahead?.number === number ? this.ahead.reading : this.read(number);
    this.ahead = null;
    const ready = await found;
    if ((number + 1) * this.chunkBytes < this.file.size) {
      const reading = this.read(number + 1);
      reading.catch(() => {}); // It is asked for, and its failure told, in its turn.
      this.ahead = { number: number + 1, reading };
    }
    return ready;
  }

  async read(number) {
    const start = number * this.chunkBytes;
    const content = await this.file.slice(start, start + this.chunkBytes).arrayBuffer();
    return { content, digest: (this.digests[number] = await sha256(content)) };
  }

  async digestOf(number) {
    return this.digests[number] ?? (await this.read(number)).digest;
  }

  // --- Talking to the server ---

  /** An answer that is one: outages are waited for, tickets renewed. */
  async call(method, path, { body, digest, onSent, patient = false } = {}) {
    const { signal } = this.stop;
    const { session } = this;
    let renewed = false;
    for (let retry = FIRST_RETRY_MS; ; retry = Math.min(retry * 2, LONGEST_RETRY_MS)) {
      if (signal.aborted) throw new Stopped();
      const { ticket, url } = session.data;
      const options = { ticket, body, digest, onSent, signal: patient ? null : signal };
      const answer = await request(method, url + path, options);
      // A chunk that was damaged on its way is sent again, like one that was lost.
      const again = isOutage(answer) || (method === "PUT" && answer.status === 422);
      this.setRetrying(again && !signal.aborted);
      if (again) {
        this.samples = [];
        await waitFor(retry, signal);
      } else if (answer.status === 401) {
        if (renewed) throw new Stopped(this.texts.expired);
        renewed = true;
        await session.newTicket(ticket, signal);
      } else {
        return answer;
      }
    }
  }

  setRetrying(retrying) {
    if (this.retrying === retrying) return;
    this.retrying = retrying;
    if (retrying) this.sent = this.offset;
    this.session.render();
  }

  refusal({ status, body }) {
    const { texts } = this;
    if (status === 404 && this.id) return new Stopped(texts.gone);
    if (status === 413 && body.facts) return new Stopped(filled(texts.quota, body.facts));
    if (status === 507 && body.facts) return new Stopped(filled(texts.no_room, body.facts));
    return new Stopped(filled(texts.refused, { reason: body.error ?? `HTTP ${status}` }));
  }

  // --- Speed ---

  progress(bytes) {
    this.sent = bytes;
    const now = performance.now();
    this.samples.push([now, bytes]);
    while (now - this.samples[0][0] > SPEED_WINDOW_MS) this.samples.shift();
    this.session.renderSoon();
  }

  /** Bytes per second over the last seconds; 0 when that is not known yet. */
  speed() {
    if (this.samples.length < 2) return 0;
    const [[then, before], [now, after]] = [this.samples[0], this.samples.at(-1)];
    return now - then < 500 ? 0 : Math.max(0, (1000 * (after - before)) / (now - then));
  }
}

// --- All files of one uploader ------------------------------------------------------------

class Session {
  constructor() {
    this.transfers = [];
    this.gone = new Set(); // ids that Python may still list as unfinished
    this.problems = [];
    this.working = null;
    this.view = null;
    this.tell = null; // setTriggerValue while a view is mounted
    this.data = null;
    this.waitingForTicket = [];
    this.timer = null;
  }

  update(data) {
    this.data = data;
    // Python has heard of these and shows what became of them.
    this.transfers = this.transfers.filter((transfer) => transfer.state !== "done");
    for (const wake of this.waitingForTicket.splice(0)) wake();
    this.render();
  }

  // --- What a person does ---

  add(files, folders = []) {
    const { texts, accepts } = this.data;
    this.problems = folders.map((name) => filled(texts.folder, { name }));
    for (const file of files) {
      const { name } = file;
      if (!accepts.some((ending) => name.toLowerCase().endsWith(ending))) {
        this.problems.push(filled(texts.wrong_kind, { name, endings: accepts.join(", ") }));
      } else if (file.size === 0) {
        this.problems.push(filled(texts.empty, { name }));
      } else {
        this.queue(file);
      }
    }
    this.render();
  }

  queue(file) {
    const same = this.transfers.find((transfer) => transfer.isSame(file));
    if (!same) {
      this.transfers.push(new Transfer(this, file));
      this.next();
    } else if (["paused", "stopped"].includes(same.state)) {
      same.use(file);
      this.resume(same);
    }
  }

  pause(transfer) {
    transfer.state = "paused";
    transfer.stop?.abort();
    this.render();
  }

  resume(transfer) {
    transfer.state = "waiting";
    transfer.problem = "";
    this.render();
    this.next();
  }

  async cancel(transfer) {
    transfer.state = "cancelled";
    transfer.stop?.abort();
    this.transfers = this.transfers.filter((other) => other !== transfer);
    this.render();
    await transfer.running;
    if (transfer.id) await this.forget(transfer.id);
  }

  /** Deletes an upload on the server; it is shown again when that cannot be done. */
  async forget(id) {
    this.gone.add(id);
    this.render();
    for (let tries = 0; tries < FORGET_TRIES; tries++) {
      const { url, ticket } = this.data;
      const answer = await request("DELETE", `${url}/${id}`, { ticket });
      if (answer.status === 401) await this.newTicket(ticket);
      else if (!isOutage(answer)) return;
      else await waitFor(FIRST_RETRY_MS * 2 ** tries);
    }
    this.gone.delete(id);
    this.render();
  }

  // --- One after another ---

  async next() {
    if (this.working) return;
    const transfer = this.transfers.find(({ state }) => state === "waiting");
    if (!transfer) return;
    this.working = transfer;
    transfer.running = transfer.run();
    await transfer.running;
    this.working = null;
    if (transfer.state === "done") this.finished(transfer);
    this.render();
    this.next();
  }

  finished(transfer) {
    this.gone.add(transfer.id);
    if (this.tell) this.tell("finished", transfer.result);
    // Another page is shown. The one that lists what has arrived asks the server itself.
    else this.transfers = this.transfers.filter((other) => other !== transfer);
  }

  /** Waits until the script has given another ticket than this one. */
  async newTicket(old, signal) {
    while (this.data.ticket === old && !signal?.aborted) {
      this.tell?.("renew", Date.now());
      const updated = new Promise((resolve) => this.waitingForTicket.push(resolve));
      await Promise.race([updated, waitFor(RENEW_MS, signal)]);
    }
  }

  // --- Showing ---

  unfinished() {
    // By name and size, too: the file at hand will turn out to be that upload, or take its place.
    const isHere = ({ id, name, size_bytes: size }) =>
      this.transfers.some((transfer) => transfer.id === id || transfer.isSame({ name, size }));
    return this.data.unfinished.filter((upload) => !this.gone.has(upload.id) && !isHere(upload));
  }

  render() {
    clearTimeout(this.timer);
    this.timer = null;
    this.view?.render();
  }

  renderSoon() {
    this.timer ??= setTimeout(() => this.render(), RENDER_MS);
  }
}

// --- What is on screen ----------------------------------------------------------------------

class View {
  constructor(parent, session) {
    this.session = session;
    this.turn = 0;
    this.depth = 0; // dragenter and dragleave come for every element under the mouse
    this.rows = new Map(); // Transfer, or id of an unfinished upload → elements
    this.build();
    this.listen();
    parent.appendChild(this.root);
  }

  build() {
    this.root = make("div", "uploader", { role: "group" });
    this.zone = make("div", "zone");
    this.words = make("span", "words");
    this.button = make("button", "choose", { type: "button" });
    this.input = make("input", "", { type: "file", multiple: "", tabindex: -1 });
    this.input.hidden = true;
    this.problems = make("p", "problem", { role: "alert" });
    this.list = make("ul", "list");
    this.zone.append(this.words, this.button, this.input);
    this.root.append(this.zone, this.problems, this.list);
  }

  destroy() {
    this.turn = -1;
    if (this.session.view === this) {
      this.session.view = null;
      this.session.tell = null;
    }
    this.root.remove();
  }

  listen() {
    const { zone, input } = this;
    this.button.onclick = () => input.click();
    input.onchange = () => {
      this.session.add([...input.files]);
      input.value = ""; // so that the same file can be chosen again
    };
    const carriesFiles = (event) => event.dataTransfer?.types.includes("Files");
    const on = (type, handler) =>
      zone.addEventListener(type, (event) => {
        if (!carriesFiles(event)) return;
        event.preventDefault();
        handler(event);
        zone.classList.toggle("over", this.depth > 0);
      });
    on("dragenter", () => (this.depth += 1));
    on("dragleave", () => (this.depth -= 1));
    on("dragover", (event) => (event.dataTransfer.dropEffect = "copy"));
    on("drop", (event) => {
      this.depth = 0;
      this.drop([...event.dataTransfer.items]);
    });
  }

  drop(items) {
    const dropped = items.filter(({ kind }) => kind === "file");
    const isFolder = (item) => item.webkitGetAsEntry?.()?.isDirectory ?? false;
    const folders = dropped.filter(isFolder).map((item) => item.webkitGetAsEntry().name);
    const files = dropped.filter((item) => !isFolder(item)).map((item) => item.getAsFile());
    this.session.add(files, folders);
  }

  render() {
    const { texts, accepts } = this.session.data;
    this.root.setAttribute("aria-label", texts.uploader);
    setText(this.words, texts.drop);
    setText(this.button, texts.choose);
    // Of “.tar.gz”, file dialogs know the last part only.
    this.input.accept = accepts.map((ending) => ending.slice(ending.lastIndexOf("."))).join(",");
    setText(this.problems, this.session.problems.join(" "));
    const unfinished = this.session.unfinished();
    const shown = new Set([...this.session.transfers, ...unfinished.map(({ id }) => id)]);
    for (const key of this.rows.keys()) if (!shown.has(key)) this.rows.delete(key);
    const rows = this.session.transfers.map((transfer) => this.transferRow(transfer));
    rows.push(...unfinished.map((upload) => this.unfinishedRow(upload)));
    setChildren(this.list, rows);
  }

  row(key) {
    if (!this.rows.has(key)) {
      const row = {
        item: make("li", "row"),
        head: make("div", "head"),
        name: make("span", "name"),
        first: make("button", "", { type: "button" }),
        second: make("button", "", { type: "button" }),
        bar: make("div", "bar", { role: "progressbar", "aria-valuemin": 0, "aria-valuemax": 100 }),
        fill: make("div", "fill"),
        detail: make("p", "detail"),
        remark: make("p", "remark", { role: "status" }),
      };
      row.bar.append(row.fill);
      row.head.append(row.name, row.first, row.second);
      row.item.append(row.head, row.bar, row.detail, row.remark);
      this.rows.set(key, row);
    }
    return this.rows.get(key);
  }

  /** Fills in what both kinds of rows have. */
  fillRow(row, { name, words, share, state }) {
    row.item.dataset.state = state;
    setText(row.name, words);
    row.name.title = name;
    const percent = Math.floor(share * 100);
    row.bar.setAttribute("aria-label", name);
    row.bar.setAttribute("aria-valuenow", String(percent));
    row.fill.style.width = `${share * 100}%`;
  }

  setButton(button, name, words, action) {
    button.hidden = !words;
    if (!words) return;
    setText(button, words);
    button.setAttribute("aria-label", `${words}: ${name}`);
    button.onclick = action;
  }

  transferRow(transfer) {
    const row = this.row(transfer);
    const { session } = this;
    const { texts } = session.data;
    const { file, state, phase } = transfer;
    const comparing = state === "working" && phase === "comparing";
    const share = comparing ? transfer.compared : transfer.sent / file.size;
    this.fillRow(row, { name: file.name, words: file.name, share, state });
    const idle = state === "paused" || state === "stopped";
    // What is being finished is all but there, and cannot be held up.
    const fixed = state === "done" || (state === "working" && phase === "finishing");
    const go = state === "stopped" ? texts.again : texts.resume;
    this.setButton(row.first, file.name, fixed ? null : idle ? go : texts.pause, () =>
      idle ? session.resume(transfer) : session.pause(transfer),
    );
    const cancel = () => session.cancel(transfer);
    this.setButton(row.second, file.name, fixed ? null : texts.cancel, cancel);
    setText(row.detail, this.detailOf(transfer));
    const outage = transfer.retrying ? texts.retrying : "";
    setText(row.remark, [transfer.problem || outage, transfer.remark].filter(Boolean).join(" "));
    row.item.classList.toggle("troubled", Boolean(transfer.problem || outage));
    return row.item;
  }

  detailOf(transfer) {
    const { texts } = this.session.data;
    const { file, sent, state, phase } = transfer;
    const percent = percentOf(sent, file.size);
    if (state === "paused") return filled(texts.paused, { percent });
    if (state === "waiting" || state === "done") return texts[state];
    const progress = filled(texts.progress, { percent, size: readableSize(file.size) });
    if (state === "stopped") return progress;
    if (phase === "comparing") {
      return filled(texts.comparing, { percent: percentOf(transfer.compared, 1) });
    }
    if (phase !== "sending") return texts[phase];
    const speed = transfer.speed();
    if (speed === 0 || transfer.retrying) return progress;
    const perSecond = speed / MIB;
    const number = perSecond < 10 ? perSecond.toFixed(1) : Math.round(perSecond);
    const left = readableTime(texts, (file.size - sent) / speed);
    return [progress, filled(texts.speed, { speed: number }), left].join(" · ");
  }

  unfinishedRow({ id, name, size_bytes: size, offset_bytes: offset }) {
    const row = this.row(id);
    const { texts } = this.session.data;
    const words = filled(texts.unfinished, { name, percent: percentOf(offset, size) });
    this.fillRow(row, { name, words, share: offset / size, state: "unfinished" });
    this.setButton(row.first, name, null);
    this.setButton(row.second, name, texts.discard, () => this.session.forget(id));
    return row.item;
  }
}
