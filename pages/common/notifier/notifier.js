/*
 * The bell. Which runs a person waits for is kept in localStorage, one entry by run, so that all
 * tabs of a browser know. When the page says that one of them has ended, its entry goes first and
 * the notification comes then: of several tabs and many updates, one tells it.
 */

const ENTRY = "workbench.notify.";
const FORGET_AFTER_MS = 30 * 24 * 3600 * 1000; // a run that was deleted, or never looked at again

const bells = new Map(); // where it is mounted → Bell

// What another tab wants is heard as an event, what another bell of this tab wants is not.
const renderAll = () => bells.forEach((bell) => bell.render());
window.addEventListener("storage", renderAll);

export default function (component) {
  const { parentElement, data } = component;
  let bell = bells.get(parentElement);
  if (!bell) {
    bell = new Bell(parentElement);
    bells.set(parentElement, bell);
  }
  const turn = bell.update(data);
  return () => {
    // The clean-up of an overtaken update is called too, while the bell lives on. Waiting
    // a moment tells the two apart.
    setTimeout(() => {
      if (bell.turn !== turn || bells.get(parentElement) !== bell) return;
      bells.delete(parentElement);
      bell.root.remove();
    });
  };
}

// --- What is waited for -----------------------------------------------------------------------

const storage = openStorage();

function openStorage() {
  try {
    const found = window.localStorage;
    for (const entry of Object.keys(found)) {
      const isOld = Date.now() - Number(found.getItem(entry)) > FORGET_AFTER_MS;
      if (entry.startsWith(ENTRY) && isOld) found.removeItem(entry);
    }
    return found;
  } catch {
    // Forbidden by the person's settings: then this tab alone knows.
    const kept = new Map();
    return {
      getItem: (entry) => kept.get(entry) ?? null,
      setItem: (entry, value) => kept.set(entry, value),
      removeItem: (entry) => kept.delete(entry),
    };
  }
}

const isAwaited = (run) => storage.getItem(ENTRY + run.id) !== null;

function setAwaited(run, wanted) {
  if (wanted) storage.setItem(ENTRY + run.id, String(Date.now()));
  else storage.removeItem(ENTRY + run.id);
}

// --- The browser's permission -----------------------------------------------------------------

/** The key of the words that say why there will be no notification; null when there will. */
function obstacle() {
  if (!window.isSecureContext || !("Notification" in window)) return "insecure";
  return { granted: null, denied: "denied", default: "unanswered" }[Notification.permission];
}

async function askForPermission() {
  if (obstacle() === "unanswered") await Notification.requestPermission();
  return obstacle();
}

// --- The bell -----------------------------------------------------------------------------------

class Bell {
  constructor(parent) {
    this.turn = 0;
    this.runs = [];
    this.root = make("div", "notifier");
    this.button = make("button", "", { type: "button" });
    this.label = make("span", "");
    this.button.append(make("span", "bell", { "aria-hidden": "true" }), this.label);
    this.words = make("p", "words", { role: "status" });
    this.root.append(this.button, this.words);
    this.say("");
    parent.append(this.root);
    this.button.addEventListener("click", () => this.toggle());
  }

  update(data) {
    this.texts = data.texts;
    this.runs = data.runs;
    for (const run of this.runs) {
      if (run.isLive || !isAwaited(run)) continue;
      setAwaited(run, false);
      this.notify(run);
    }
    this.render();
    return ++this.turn;
  }

  get live() {
    return this.runs.filter((run) => run.isLive);
  }

  get isOn() {
    return obstacle() === null && this.live.every(isAwaited);
  }

  async toggle() {
    const wanted = !this.isOn;
    const problem = wanted ? await askForPermission() : null;
    this.say(problem ? this.texts[problem] : "");
    if (!problem) this.live.forEach((run) => setAwaited(run, wanted));
    renderAll();
  }

  notify(run) {
    const say = () => {
      const told = { name: run.name, sentence: run.sentence };
      this.say(this.texts.silent.replace(/\{(\w+)\}/g, (_match, word) => told[word]));
    };
    try {
      // Two tabs may be equally fast: the tag lets the browser show one notification for both.
      const shown = new Notification(run.name, { body: run.sentence, tag: ENTRY + run.id });
      shown.onerror = say;
      shown.onclick = () => {
        window.focus();
        shown.close();
      };
    } catch {
      say(); // No notifications at all, or, on telephones, only through service workers.
    }
  }

  say(words) {
    setText(this.words, words);
    this.words.hidden = !words;
  }

  render() {
    this.button.hidden = this.live.length === 0;
    this.button.setAttribute("aria-pressed", String(this.isOn));
    setText(this.label, this.live.length === 1 ? this.texts.one : this.texts.many);
  }
}

