/** What an answer of /api/v1 means: a line for each thing that is shown, and a verdict on all of it. */

const SILENT = 120; // seconds; LocalAI's own verdict comes after 40
const AHEAD = 5; // seconds; LocalAI's clock is read to the second
const RANK = { bad: 0, warn: 1, unknown: 2, ok: 3 };
const FLEET_LEVELS = { healthy: 'ok', unhealthy: 'bad', offline: 'bad' };

const byLevelAndName = (one, other) =>
  RANK[one.level] - RANK[other.level] || (one.name < other.name ? -1 : Number(one.name > other.name));

/** Whether fewer than expected are online; what is unknown is not fewer. */
const isShort = ({ online, expected }) => online !== null && expected !== null && online < expected;

const remedy = (failure) => (failure ? `${begun(failure.detail)}. ${failure.advice}` : '');

/** LocalAI's verdict, and what makes one doubt it. */
function nodeItem(node, time) {
  const ahead = -node.last_seen_age_seconds;
  const silent = node.heartbeat === null ? 0 : time - node.heartbeat;
  const doubts = [
    ahead > AHEAD && `Its clock runs ahead by ${span(ahead)} or more: once dead, it stays online for as long.`,
    node.online && silent > SILENT && `LocalAI calls it online, but no heartbeat came for ${span(silent)}.`,
  ].filter(Boolean);
  return {
    key: `${node.role} ${node.backend} ${node.id}`,
    name: node.id,
    level: !node.online ? 'bad' : doubts.length ? 'warn' : 'ok',
    status: node.online ? 'online' : 'offline',
    more: joined(node.role, BACKENDS[node.backend] ?? node.backend),
    age: node.last_seen_age_seconds,
    note: doubts.join(' '),
  };
}

/** A host is online while any of its nodes is: each restart leaves an offline one behind. */
function hostItem(name, nodes) {
  const online = nodes.filter((node) => node.status === 'online');
  const ages = (online.length ? online : nodes).map((node) => node.age).filter((age) => age !== null);
  const isDoubted = online.some((node) => node.level === 'warn');
  return {
    key: name,
    name,
    nodes: nodes.sort(byLevelAndName),
    level: !online.length ? 'bad' : isDoubted ? 'warn' : 'ok',
    status: online.length ? 'online' : nodes.length ? 'offline' : 'missing',
    more: nodes.length ? `${online.length} of ${many(nodes.length, 'node')}` : 'expected',
    age: !nodes.length ? undefined : ages.length ? Math.min(...ages) : null,
  };
}

function hostItems(cluster) {
  const hosts = new Map(cluster.expected_hosts.map((host) => [host, []]));
  for (const node of cluster.nodes) {
    if (!hosts.has(node.host)) hosts.set(node.host, []);
    hosts.get(node.host).push(nodeItem(node, cluster.time));
  }
  return [...hosts].map(([name, nodes]) => hostItem(name, nodes)).sort(byLevelAndName);
}

function roleFigure({ role, online, total, expected }) {
  const known = total !== null && `online of ${total} known`;
  return {
    name: ROLES[role] ?? role,
    value: online === null ? 'unknown' : String(online),
    words: joined(known, expected !== null && `${expected} expected`),
    isShort: isShort({ online, expected }),
    share: online === null ? null : Math.min(1, online / Math.max(total, expected ?? 0, 1)),
  };
}

function localaiFigure({ localai, api }) {
  if (localai === null) return { name: 'LocalAI', value: 'unknown', words: '', isShort: false, share: null };
  const offset = localai.clock_offset_seconds;
  const words = joined(
    localai.p2p_enabled !== null && `P2P is ${localai.p2p_enabled ? 'on' : 'off'}`,
    `API generation ${api.generation}`,
    localai.network && `network ${localai.network}`,
    Math.abs(offset) >= 2 && `its clock is ${span(Math.abs(offset))} ${offset < 0 ? 'behind' : 'ahead'}`,
  );
  return { name: 'LocalAI', value: localai.version?.split(' ')[0] || 'answers', words, isShort: false, share: null };
}

/** What of LocalAI's lists is not shown, or could not be. */
function unshown(roles) {
  const backends = roles.flatMap((role) => role.backends ?? []);
  const sum = (count) => backends.reduce((total, one) => total + count(one), 0);
  const [old, beyond] = [sum((one) => one.hidden.retention), sum((one) => one.hidden.limit)];
  const dropped = sum((one) => one.dropped.invalid + one.dropped.duplicate);
  return joined(
    old && `${many(old, 'node')} not shown: unseen for longer than --node.retention`,
    beyond && `${many(beyond, 'node')} not shown: beyond --node.limit`,
    dropped && `${many(dropped, 'entry', 'entries')} of LocalAI's lists could not be used`,
  );
}

function fleetItems(fleet) {
  return (fleet.nodes ?? []).map((node) => ({
    key: node.name,
    name: node.name,
    level: FLEET_LEVELS[node.status] ?? 'warn',
    status: node.status,
    more: node.models_loaded === null ? '' : many(node.models_loaded, 'model'),
    age: node.last_heartbeat_age_seconds,
    verb: 'heard',
  })).sort(byLevelAndName);
}

function fleetWords(fleet) {
  if (fleet.up === null) return 'not asked yet';
  return !fleet.up ? 'not read' : fleet.enabled ? '' : 'off in LocalAI';
}

/** What to do where distributed mode alone was not read: what ails LocalAI as a whole stands at the top. */
const fleetRemedy = ({ poll, distributed }) => (poll.failure ? '' : remedy(distributed.failure));

function targetItem(target, time) {
  const status = target.up === null ? 'not polled yet'
    : !target.up ? 'not read'
    : target.roles.some(isShort) ? 'below expected' : 'read';
  return {
    key: target.name,
    name: target.name,
    level: { 'not polled yet': 'unknown', 'not read': 'bad', 'below expected': 'warn', read: 'ok' }[status],
    status,
    more: target.roles.filter(({ online }) => online !== null)
      .map(({ role, online, total }) => `${online} of ${total} ${role}`).join(', '),
    age: target.last_success === null ? undefined : time - target.last_success,
    verb: 'read',
    note: remedy(target.failure),
  };
}

const targetItems = ({ targets, time }) => targets.map((target) => targetItem(target, time)).sort(byLevelAndName);

function listVerdict(items) {
  if (!items.length) return { level: 'unknown', headline: 'There are no targets' };
  const counted = ['not read', 'below expected', 'not polled yet'].map((status) => {
    const count = items.filter((item) => item.status === status).length;
    return count && `${count} ${status}`;
  });
  const words = counted.filter(Boolean).join(', ');
  const all = items.length === 1 ? 'The target is read' : `All ${items.length} targets are read`;
  return { level: items[0].level, headline: words ? `Of ${many(items.length, 'target')} ${words}` : all };
}

function failedVerdict({ up, stale, failure, last_success: success }) {
  const why = failure ? `${begun(failure.detail)}.` : 'The newest poll is overdue.';
  const what = stale === false ? `What stands below is LocalAI's answer of ${clock(success)}.`
    : stale ? `Nothing is known of the cluster now: LocalAI's last answer is of ${clock(success)}.`
    : 'Nothing is known of the cluster: LocalAI was never read.';
  if (up === null) return { level: 'unknown', headline: 'The first poll has not ended' };
  return { level: 'bad', headline: 'LocalAI could not be read', detail: `${why} ${what}`, advice: failure?.advice };
}

function clusterVerdict(cluster, items) {
  if (!cluster.poll.up) return failedVerdict(cluster.poll);
  if (cluster.localai.p2p_enabled === false) {
    return { level: 'bad', headline: 'P2P is off in LocalAI', detail: 'LocalAI answers, and is in no network.' };
  }
  const offline = items.filter((item) => item.level === 'bad');
  const doubted = items.filter((item) => item.level === 'warn');
  const expected = new Set(cluster.expected_hosts);
  const lost = offline.filter((item) => expected.has(item.name));
  const detail = offline.length ? `Without a node online: ${named(offline)}.` : '';
  const short = cluster.roles.filter(isShort).map((one) =>
    `${one.online} of ${one.expected} expected ${one.role === 'worker' ? 'workers' : `${one.role} nodes`} online`);
  if (short.length) return { level: 'bad', headline: short.join(', '), detail };
  if (lost.length) return { level: 'bad', headline: `${many(lost.length, 'expected host')} offline`, detail };
  if (!items.length) return { level: 'warn', headline: 'LocalAI knows no nodes' };
  const all = many(items.length, 'host');
  if (offline.length) return { level: 'warn', headline: `${offline.length} of ${all} offline`, detail };
  if (doubted.length) {
    return {
      level: 'warn',
      headline: `${items.length === 1 ? 'The host is' : `All ${all} are`} online, ${doubted.length} in doubt`,
      detail: `In doubt: ${named(doubted)}.`,
    };
  }
  return { level: 'ok', headline: items.length === 1 ? 'The host is online' : `All ${all} are online` };
}
