/** Asks the exporter, and shows what it says. All of it is text: nothing here makes HTML. */

const $ = (id) => document.getElementById(id);
const target = new URLSearchParams(location.search).get('target');
const isList = document.body.dataset.view === 'targets' && target === null;
const query = target === null ? '' : `?target=${encodeURIComponent(target)}`;
const url = isList ? './api/v1/targets' : `./api/v1/cluster${query}`;

const PATIENCE_MS = 10_000; // what an answer may take
const REFUSALS = {
  401: 'The exporter wants you to sign in: load this page anew',
  404: 'The exporter watches no target of this name',
};

// What was last answered, when that came, and why nothing came since.
let answer = null;
let arrived = 0;
let silence = null;

const passed = () => (performance.now() - arrived) / 1000;

// Nothing is touched that is so already: with thousands of nodes it costs, and a screen reader would say it again.
const say = (element, text) => {
  if (element.textContent !== text) element.textContent = text;
};
const mark = (element, level) => {
  if (element.dataset.level !== level) element.dataset.level = level;
};

function make(tag, name, ...children) {
  const element = document.createElement(tag);
  if (name) element.className = name;
  element.append(...children);
  return element;
}

/** Keeps one row for each item's key, in the order of the items. */
function arrange(parent, rows, items, makeOne) {
  const focused = document.activeElement;
  const keys = new Set(items.map((item) => item.key));
  for (const [key, row] of rows) {
    if (!keys.has(key)) {
      row.element.remove();
      rows.delete(key);
    }
  }
  let place = parent.firstElementChild;
  for (const item of items) {
    if (!rows.has(item.key)) rows.set(item.key, makeOne());
    const row = rows.get(item.key);
    row.update(item);
    if (row.element === place) place = place.nextElementSibling;
    else parent.insertBefore(row.element, place);
  }
  // What is moved loses the focus.
  if (focused !== document.activeElement && focused.isConnected) focused.focus();
}

/** Makes a row: a name, a status in words and colour, a word more, an age that ticks, and below them a note. */
function makeRow(tag, kind, name = make('span', 'name')) {
  const [status, more, age, note] = ['status', 'more', 'age', 'note'].map((one) => make('span', one));
  const element = make(tag, kind, name, status, more, age);
  let shown = null;
  const tick = () => {
    say(status, silence ? `was ${shown.status}` : shown.status);
    const old = shown.age === null ? null : shown.age + passed();
    say(age, shown.age === undefined ? '' : ago(old, shown.verb ?? 'seen'));
  };
  const update = (item) => {
    shown = item;
    say(name, item.name);
    mark(status, item.level);
    say(more, item.more);
    say(note, item.note ?? '');
    if (!item.note) note.remove();
    else if (!note.isConnected) element.append(note);
    tick();
  };
  return { element, update, tick };
}

/** Makes a host's row, whose nodes have theirs once it is open; it is from the start where something is wrong. */
function makeHost() {
  const head = makeRow('summary', 'row');
  const list = make('ul', 'nodes');
  const nodes = new Map();
  const element = make('details', '', head.element, list);
  let shown = null;
  const fill = () => arrange(list, nodes, shown.nodes, () => makeRow('li', 'node'));
  const update = (item) => {
    if (shown === null && item.level !== 'ok' && item.nodes.length) element.open = true;
    shown = item;
    head.update(item);
    if (element.open) fill();
  };
  const tick = () => {
    head.tick();
    if (element.open) nodes.forEach((node) => node.tick());
  };
  element.addEventListener('toggle', () => element.open && fill());
  return { element: make('li', '', element), update, tick };
}

const makeItem = () => makeRow('li', 'row');

function makeTarget() {
  const link = make('a', 'name');
  const row = makeRow('li', 'row', link);
  const update = (item) => {
    link.href = `?target=${encodeURIComponent(item.name)}`;
    row.update(item);
  };
  return { ...row, update };
}

const rows = { targets: new Map(), hosts: new Map(), distributed: new Map() };

/** Shows a section's items; none of it where they are null. */
function section(id, items, words, makeOne, below = '') {
  const [title, list, small] = $(id).children;
  $(id).hidden = items === null;
  arrange(list, rows[id], items ?? [], makeOne);
  // Where words say why there are none, 0 of them would be a claim.
  say(title.firstElementChild, joined(items && (items.length || !words) && String(items.length), words));
  say(small, below);
}

function figures(shown) {
  const list = $('figures');
  shown.forEach((figure, index) => {
    const parts = () => [make('dt'), make('dd', 'figure'), make('dd')];
    const group = list.children[index] ?? list.appendChild(make('div', '', ...parts()));
    const [name, value, words] = group.children;
    say(name, figure.name);
    say(value, figure.value);
    say(words, figure.words);
    value.classList.toggle('short', figure.isShort);
    value.classList.toggle('unknown', figure.value === 'unknown');
    value.classList.toggle('shared', figure.share !== null);
    value.style.setProperty('--share', `${(figure.share ?? 0) * 100}%`);
  });
  while (list.children.length > shown.length) list.lastElementChild.remove();
  list.hidden = false;
}

function judge({ level, headline, detail = '', advice = '' }) {
  mark($('headline'), level);
  say($('headline'), headline);
  say($('detail'), detail);
  say($('advice'), advice);
  $('advice').hidden = !advice;
  const title = `${headline} – ${target ?? 'LocalAI P2P'}`;
  if (document.title !== title) document.title = title;
}

function showList() {
  const items = targetItems(answer);
  section('targets', items, '', makeTarget);
  return listVerdict(items);
}

function showCluster() {
  const items = answer.nodes && hostItems(answer);
  const fleet = answer.distributed;
  figures([...answer.roles.map(roleFigure), localaiFigure(answer)]);
  section('hosts', items, '', makeHost, unshown(answer.roles));
  section('distributed', ...(fleet ? [fleetItems(fleet), fleetWords(fleet), makeItem, fleetRemedy(answer)] : [null]));
  return clusterVerdict(answer, items);
}

function show() {
  $('main').classList.toggle('past', silence !== null);
  const verdict = answer && (isList ? showList() : showCluster());
  const past = answer ? `What stands below was known at ${clock(answer.time)}, and may have changed since.` : '';
  judge(silence ? { level: 'bad', headline: silence, detail: past } : verdict);
  tick();
}

function tick() {
  const words = silence ? `no answer for ${span(passed())}` : `asked ${span(passed())} ago`;
  say($('pulse'), answer ? words : '');
  for (const of of Object.values(rows)) of.forEach((row) => row.tick());
}

async function ask() {
  const response = await fetch(url, { cache: 'no-store', signal: AbortSignal.timeout(PATIENCE_MS) });
  if (response.ok) return response.json();
  const cause = REFUSALS[response.status] ?? `The exporter answers with status ${response.status}`;
  throw new Error('refused', { cause });
}

let next = 0;

/** Asks, shows and waits, over and over; while nobody looks, it does nothing. */
async function turn() {
  clearTimeout(next);
  if (document.hidden) return;
  try {
    answer = await ask();
    arrived = performance.now();
    silence = null;
  } catch (error) {
    silence = error.cause ?? 'The exporter does not answer';
  }
  show();
  clearTimeout(next);
  next = setTimeout(turn, Math.min(Math.max(answer?.poll?.interval_seconds ?? 5, 1), 15) * 1000);
}

if (target !== null) {
  say($('target'), target);
  $('metrics').href = `./probe${query}`;
  $('json').href = url;
}
document.addEventListener('visibilitychange', turn);
setInterval(() => document.hidden || tick(), 1000);
turn();
