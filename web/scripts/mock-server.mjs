// A server for looking at the web app without the real one: serves the built UI under the real content policy, speaks the HTTP and feed
// contract and replays tests/golden logs. For development only.
//   node scripts/mock-server.mjs [--port 8123] [--ui ../copilot/api/_web]
// POST /mock/start {"log":"card-fraud","until_ms":60000,"speed":8,"partials":true} begins a live call; /mock/drop cuts every feed.
import { readFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import { extname, join, normalize } from 'node:path';
import { fileURLToPath } from 'node:url';
import { WebSocketServer } from 'ws';
import { ARTICLES, artifactsFor, LABELS } from './mock-data.mjs';

const args = Object.fromEntries(
  process.argv
    .slice(2)
    .join(' ')
    .split('--')
    .filter(Boolean)
    .map((a) => a.trim().split(' ')),
);
const PORT = Number(args.port ?? 8123);
const UI = fileURLToPath(new URL(args.ui ?? '../../copilot/api/_web/', import.meta.url));
const GOLDEN = new URL('../../tests/golden/', import.meta.url);
const CSP =
  "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; media-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'";
const TYPES = {
  '.html': 'text/html; charset=utf-8',
  '.js': 'text/javascript',
  '.css': 'text/css',
  '.svg': 'image/svg+xml',
};

const USERS = {
  lin: { user_id: 'u-lin', username: 'lin', display_name: '林晓', roles: ['agent'], org_id: 'hesui' },
  zhao: { user_id: 'u-zhao', username: 'zhao', display_name: '赵宁', roles: ['agent'], org_id: 'hesui' },
  wang: { user_id: 'u-wang', username: 'wang', display_name: '王敏', roles: ['inspector'], org_id: 'hesui' },
};
/** What each person has set, and per call: notes, drafts, versions. */
const preferences = new Map();
const notes = new Map();
const drafts = new Map();
/** call_id → { envelopes, call } */
const calls = new Map();
const feeds = new Set();
const tickets = new Map();
const sleep = (ms) => new Promise((done) => setTimeout(done, ms));

async function readLog(name) {
  const text = await readFile(new URL(`${name}.jsonl`, GOLDEN), 'utf8');
  const fold = JSON.parse(await readFile(new URL(`${name}.fold.json`, GOLDEN), 'utf8'));
  return {
    log: text
      .trim()
      .split('\n')
      .map((l) => JSON.parse(l)),
    fold,
  };
}

function blank(callId, event, at) {
  return {
    org_id: 'hesui',
    call_id: callId,
    last_seq: 0,
    phase: 'live',
    external_id: event.external_id,
    protocol: event.protocol,
    language: event.language,
    agent_id: event.agent_id,
    started_at: at,
    duration_ms: 0,
    end_reason: '',
    utterances: 0,
    suggestions: 0,
    suggestions_used: 0,
    alerts: 0,
    intents: [],
    artifacts: [],
  };
}

function store(callId, envelope) {
  const entry = calls.get(callId);
  entry.envelopes.push(envelope);
  const { call } = entry;
  const { event } = envelope;
  call.last_seq = envelope.seq;
  if (event.type === 'utterance_final') {
    call.utterances += 1;
    call.duration_ms = Math.max(call.duration_ms, event.end_ms);
  } else if (event.type === 'call_ended') {
    call.phase = 'ended';
    call.end_reason = event.reason;
    call.duration_ms = event.duration_ms;
  } else if (event.type === 'intent_detected' && event.intent !== 'unknown' && !call.intents.includes(event.intent))
    call.intents.push(event.intent);
  else if (event.type === 'suggestion_offered' && event.kind !== 'nothing') call.suggestions += 1;
  else if (event.type === 'suggestion_feedback') call.suggestions_used += event.action === 'rejected' ? 0 : 1;
  else if (event.type === 'compliance_alerted') call.alerts += 1;
  else if (event.type === 'artifact_ready') call.artifacts.push(event.kind);
  for (const feed of feeds) feed.event(callId, envelope);
}

/** Replays a log as a live call. The log's own feedback is left out: the clicks are the visitor's. */
async function play({
  log: name,
  agent_id = 'u-lin',
  until_ms = Infinity,
  speed = 1,
  partials = true,
  call_id,
  instant_ms = 0,
}) {
  const { log } = await readLog(name);
  const callId = call_id ?? `live-${Date.now()}`;
  const t0 = Date.parse(log[0].at);
  const begun = Date.now() - instant_ms;
  const shift = (ms) => new Date(begun + ms).toISOString();
  calls.set(callId, { envelopes: [], call: { ...blank(callId, log[0].event, shift(0)), agent_id } });
  for (const feed of feeds) feed.opened(calls.get(callId).call);
  let clock = 0;
  const goTo = async (ms) => {
    if (ms > Math.max(clock, instant_ms)) await sleep((ms - Math.max(clock, instant_ms)) / speed);
    clock = Math.max(clock, ms);
  };
  for (const source of log) {
    const at = Date.parse(source.at) - t0;
    const { event } = source;
    if (at > until_ms) {
      if (event.type === 'utterance_final' && event.start_ms < until_ms && partials) talk(callId, event, 0.6);
      break;
    }
    if (event.type === 'suggestion_feedback') continue;
    if (event.type === 'utterance_final' && partials && at > instant_ms) {
      for (const part of [0.3, 0.6, 0.9]) {
        await goTo(event.start_ms + (event.end_ms - event.start_ms) * part);
        talk(callId, event, part);
      }
    }
    await goTo(at);
    if (event.type === 'utterance_final')
      for (const f of feeds)
        f.send({ type: 'speech', call_id: callId, channel: event.channel, speaking: false, at_ms: at });
    const copy = structuredClone(event);
    if (copy.type === 'call_started') Object.assign(copy, { started_at: shift(0), agent_id });
    const seq = calls.get(callId).call.last_seq + 1;
    store(callId, { ...source, org_id: 'hesui', call_id: callId, seq, at: shift(at), event: copy });
  }
}

function talk(callId, event, part) {
  const chars = Array.from(event.text);
  const heard = Math.round(chars.length * part);
  const stable = Math.max(0, heard - 4);
  for (const feed of feeds) {
    feed.send({ type: 'speech', call_id: callId, channel: event.channel, speaking: true, at_ms: event.start_ms });
    feed.send({
      type: 'partial',
      call_id: callId,
      partial: {
        channel: event.channel,
        utterance_id: event.utterance_id,
        start_ms: event.start_ms,
        end_ms: event.end_ms,
        stable: chars.slice(0, stable).join(''),
        unstable: chars.slice(stable, heard).join(''),
        language: event.language,
      },
    });
  }
}

/** A finished call straight from the log, feedback included. */
async function finished(name, hoursAgo, callId) {
  const { log, fold } = await readLog(name);
  const shift = Date.now() - hoursAgo * 3600e3 - Date.parse(log[0].at);
  const move = (iso) => new Date(Date.parse(iso) + shift).toISOString();
  const envelopes = log.map((e) => ({ ...e, org_id: 'hesui', call_id: callId, at: move(e.at) }));
  calls.set(callId, {
    envelopes,
    call: { ...fold, org_id: 'hesui', call_id: callId, started_at: move(fold.started_at) },
  });
}

function wav(channel, callId) {
  const { envelopes, call } = calls.get(callId);
  const rate = 8000;
  const samples = Math.floor((call.duration_ms * rate) / 1000);
  const data = Buffer.alloc(44 + samples * 2);
  data.write('RIFF', 0);
  data.writeUInt32LE(36 + samples * 2, 4);
  data.write('WAVEfmt ', 8);
  for (const [v, o, n] of [
    [16, 16, 4],
    [1, 20, 2],
    [1, 22, 2],
    [rate, 24, 4],
    [rate * 2, 28, 4],
    [2, 32, 2],
    [16, 34, 2],
  ])
    data.writeUIntLE(v, o, n);
  data.write('data', 36);
  data.writeUInt32LE(samples * 2, 40);
  for (const { event } of envelopes) {
    if (event.type !== 'utterance_final' || event.channel !== channel) continue;
    for (let i = Math.floor(event.start_ms * 8); i < Math.min(samples, event.end_ms * 8); i += 1) {
      const syllable = Math.abs(Math.sin(i / 640)) * (0.5 + 0.5 * Math.sin(i / 5200));
      data.writeInt16LE(
        Math.round(7000 * syllable * Math.sin((i * (channel === 'agent' ? 210 : 150) * 2 * Math.PI) / rate)),
        44 + i * 2,
      );
    }
  }
  return data;
}

function peaks(channel, callId, buckets) {
  const data = wav(channel, callId);
  const n = (data.length - 44) / 2;
  return Array.from({ length: buckets }, (_, b) => {
    let top = 0;
    for (let i = Math.floor((b * n) / buckets); i < Math.floor(((b + 1) * n) / buckets); i += 7)
      top = Math.max(top, Math.abs(data.readInt16LE(44 + i * 2)));
    return top / 8000;
  });
}

const server = createServer(async (req, res) => {
  const url = new URL(req.url, 'http://x');
  const json = (body, status = 200) => {
    res.writeHead(status, { 'Content-Type': status >= 400 ? 'application/problem+json' : 'application/json' });
    res.end(JSON.stringify(body));
  };
  const problem = (status, title, detail = '') => json({ type: 'about:blank', title, status, detail }, status);
  let raw = '';
  for await (const chunk of req) raw += chunk;
  const body = raw === '' ? {} : JSON.parse(raw);
  const path = url.pathname;
  if (path === '/mock/start') {
    void play(body);
    return json({ ok: true });
  }
  if (path === '/mock/finished') {
    await finished(body.log, body.hours_ago ?? 1, body.call_id);
    return json({ ok: true });
  }
  if (path === '/mock/push') {
    for (const feed of feeds) feed.send(body);
    return json({ ok: true });
  }
  if (path === '/mock/board') {
    boardSize = body.rows;
    for (const feed of feeds) feed.send({ type: 'board', reset: true, rows: boardRows(), gone: [] });
    return json({ ok: true });
  }
  if (path === '/mock/drop') {
    for (const feed of feeds) feed.socket.close(1012);
    return json({ ok: true });
  }
  if (!path.startsWith('/api/v1')) return page(path, res);
  const route = path.slice('/api/v1'.length);
  if (route === '/auth/login') {
    const user = USERS[body.username];
    if (user === undefined || body.password.length < 4) return problem(401, 'Unauthenticated', '用户名或密码不对。');
    return json({ token: body.username, expires_at: new Date(Date.now() + 8 * 3600e3).toISOString(), user });
  }
  if (route.startsWith('/auth/enrolment/')) {
    return route.endsWith('/good')
      ? json({
          username: 'admin',
          display_name: '管理员',
          roles: ['sys_admin', 'ops_admin'],
          expires_at: new Date(Date.now() + 3600e3).toISOString(),
        })
      : problem(404, 'Not found');
  }
  if (route === '/auth/enrol') return json({ token: 'wang', expires_at: '', user: USERS.wang });
  const bearer = USERS[(req.headers.authorization ?? '').replace('Bearer ', '')];
  const audio = tickets.get(url.searchParams.get('ticket'));
  if (bearer === undefined && audio === undefined) return problem(401, 'Unauthenticated', 'Sign in again.');
  if (route === '/tickets') {
    const ticket = crypto.randomUUID();
    tickets.set(ticket, bearer);
    return json({ ticket, expires_in_s: 60 });
  }
  if (route === '/me') return json(bearer);
  // The form can be looked at; there is no line behind it.
  if (route === '/microphone')
    return json({ calls_each: 1, setting: 'telephony.browser_calls', url: `ws://localhost:${PORT}/v1/raw` });
  if (route === '/auth/logout') return res.writeHead(204).end();
  if (route === '/bank/labels') return json(LABELS[url.searchParams.get('language')] ?? LABELS.zh);
  if (route === '/me/preferences') {
    if (req.method === 'PUT') preferences.set(bearer.user_id, body);
    return json(preferences.get(bearer.user_id) ?? { keys: {}, style: 'standard' });
  }
  if (route === '/kb/search') {
    const q = url.searchParams.get('q');
    const overlap = (a) =>
      Array.from(q).filter((c) => (a.title + a.answer + a.questions.join('')).includes(c)).length / q.length;
    const hits = ARTICLES.map((article) => ({ article, score: overlap(article) }))
      .filter((h) => h.score > 0.4)
      .sort((a, b) => b.score - a.score);
    return json({
      hits: hits.slice(0, 5).map(({ article, score }) => ({
        article,
        score,
        confidence: score,
        scores: {},
        passage: {
          passage_id: `${article.article_id}:q0`,
          article_id: article.article_id,
          version: 1,
          language: 'zh',
          kind: 'question',
          section: '',
          text: article.questions[0],
          start: 0,
          end: 0,
        },
      })),
    });
  }
  if (route === '/webhooks')
    return json({
      webhooks: [
        {
          subscription_id: 'wh_1',
          url: 'https://tickets.bank.example/api/pangting',
          events: ['ticket.confirmed', 'qa.finished'],
          description: '工单系统',
          template: 'generic',
          authorization_env: '',
          active: true,
          created_at: new Date().toISOString(),
          rotated_until: null,
        },
      ],
      events: ['call.ended', 'artifact.ready', 'artifact.failed', 'artifacts.ready', 'qa.finished', 'ticket.confirmed'],
      templates: [
        { name: 'generic', description: 'A flat JSON ticket.', events: ['ticket.confirmed', 'artifacts.ready'] },
      ],
    });
  if (route === '/webhooks/wh_1/messages') {
    const message = (n, more) => ({
      message_id: `msg_${n}`,
      event: 'ticket.confirmed',
      call_id: 'c1',
      created_at: new Date(Date.now() - n * 60_000).toISOString(),
      state: 'delivered',
      attempts: 1,
      next_at: new Date(Date.now() + 300_000).toISOString(),
      status: 204,
      error: '',
      ...more,
    });
    const failed = { status: 503, error: 'The receiver answered with HTTP status 503.' };
    return json({
      messages: [
        message(1, { state: 'queued', attempts: 3, ...failed }),
        message(4, {}),
        message(300, { event: 'qa.finished', state: 'failed', attempts: 11, ...failed }),
      ],
      next_cursor: null,
    });
  }
  if (route === '/jobs') {
    const state = url.searchParams.get('state');
    const id = [...calls.keys()][0] ?? 'c1';
    const line = (n, more) => ({
      job_id: `j${n}`,
      org_id: 'default',
      call_id: id,
      kind: 'summary',
      version: 1,
      state: 'failed',
      attempts: 5,
      losses: 0,
      background: false,
      lease_until: null,
      error: 'The index is busy.',
      created_at: new Date(Date.now() - n * 60_000).toISOString(),
      not_before: new Date(Date.now() + 90_000).toISOString(),
      begun_at: null,
      closed_at: null,
      ...more,
    });
    const sets = {
      failed: [
        line(3, {}),
        line(12, { kind: 'recording', attempts: 24, error: 'The media store cannot be reached; check media.url.' }),
        line(40, {
          kind: 'qa',
          attempts: 5,
          losses: 5,
          error: 'The worker died each time at this job; see its log, then run the job again.',
        }),
      ],
      open: [
        line(1, { kind: 'ticket', state: 'leased', attempts: 1, begun_at: new Date().toISOString(), error: '' }),
        line(1, { job_id: 'j5', state: 'queued', attempts: 2 }),
        line(2, {
          kind: 'keywords',
          state: 'queued',
          attempts: 0,
          background: true,
          error: '',
          not_before: new Date(0).toISOString(),
        }),
      ],
      discarded: [],
    };
    return json({
      jobs: sets[state] ?? [],
      counts: { queued: 2, leased: 1, done: 128, failed: 3, discarded: 0 },
      next_cursor: null,
    });
  }
  if (route === '/notices') return json({ notices: [], unread: 0 });
  if (route === '/console/facets') return json({ teams: [], agents: [], intents: [], tickets: [] });
  if (route === '/console/calls') {
    const phase = url.searchParams.get('phase');
    const found = [...calls.values()].filter((c) => phase === null || c.call.phase === phase);
    const listed = found.map(({ call, artifacts = [] }) => {
      const qa = artifacts.find((a) => a.kind === 'qa')?.body;
      const ticket = artifacts.find((a) => a.kind === 'ticket')?.body;
      return {
        ...call,
        ticket_level1: ticket?.level1 ?? '',
        ticket_level2: ticket?.level2 ?? '',
        qa_state: qa === undefined ? '' : 'machine',
        qa_score: qa?.score ?? null,
        qa_fatal: qa?.fatal ?? false,
        risk: 0,
      };
    });
    listed.sort((a, b) => b.started_at.localeCompare(a.started_at));
    return json({ calls: listed, next_cursor: null, count: { calls: listed.length, more_than: false } });
  }
  if (/^\/qa\/calls\/[^/]+\/history$/.test(route)) return json({ verdicts: [], appeals: [], appeal_until: null });
  if (/^\/qa\/calls\/[^/]+\/rules$/.test(route)) return json({ rules: [] });
  if (route === '/calls') {
    const phase = url.searchParams.get('phase');
    const list = [...calls.values()].map((c) => c.call).filter((c) => phase === null || c.phase === phase);
    return json({ calls: list.sort((a, b) => b.started_at.localeCompare(a.started_at)), next_cursor: null });
  }
  const [, id, ...rest] = /^\/calls\/([^/]+)(?:\/(.*))?$/.exec(route) ?? [];
  const entry = calls.get(decodeURIComponent(id ?? ''));
  if (entry === undefined) return problem(404, 'Not found', 'There is no such call.');
  const what = rest[0] ?? '';
  if (what === '') return json(entry.call);
  if (what === 'events') {
    const after = Number(url.searchParams.get('after') ?? 0);
    return json({
      events: entry.envelopes.filter((e) => e.seq > after).slice(0, Number(url.searchParams.get('limit') ?? 1000)),
    });
  }
  if (what === 'artifacts') return json({ artifacts: artifactsFor(entry) });
  if (what === 'audio') {
    const legs = entry.envelopes[0].event.legs.map((l) => ({
      channel: l.channel,
      sample_rate_hz: 8000,
      duration_ms: entry.call.duration_ms,
      gaps: entry.envelopes
        .filter((e) => e.event.type === 'media_gap' && e.event.channel === l.channel)
        .map((e) => ({ start_ms: e.event.start_ms, duration_ms: e.event.duration_ms, reason: e.event.reason })),
    }));
    return json({ legs, copy: null, may_hear_original: false });
  }
  const leg = /^audio\/(\w+)(\.wav|\/peaks)$/.exec(what);
  if (leg !== null && leg[2] === '/peaks')
    return json({ peaks: peaks(leg[1], entry.call.call_id, Number(url.searchParams.get('buckets'))) });
  if (leg !== null) {
    const data = wav(leg[1], entry.call.call_id);
    const range = /bytes=(\d+)-(\d*)/.exec(req.headers.range ?? '');
    const from = range === null ? 0 : Number(range[1]);
    const to = range === null || range[2] === '' ? data.length - 1 : Number(range[2]);
    res.writeHead(range === null ? 200 : 206, {
      'Content-Type': 'audio/wav',
      'Accept-Ranges': 'bytes',
      'Content-Length': to - from + 1,
      'Content-Range': `bytes ${from}-${to}/${data.length}`,
    });
    return res.end(data.subarray(from, to + 1));
  }
  if (what === 'notes') {
    const key = `${id}/${bearer.user_id}`;
    if (req.method === 'PUT') notes.set(key, body.text);
    const note = {
      user_id: bearer.user_id,
      name: bearer.display_name,
      mine: true,
      text: notes.get(key) ?? '',
      updated_at: new Date().toISOString(),
    };
    return json(req.method === 'PUT' ? note : { notes: note.text === '' ? [] : [note] });
  }
  if (what === 'wrap-up') return json({ drafts: Object.values(drafts.get(id) ?? {}) });
  if (what.startsWith('wrap-up/')) {
    const kind = what.split('/')[1];
    const event = (more) =>
      store(entry.call.call_id, {
        org_id: 'hesui',
        call_id: entry.call.call_id,
        seq: entry.call.last_seq + 1,
        epoch: 1,
        at: new Date().toISOString(),
        schema_version: 3,
        event: { user_id: bearer.user_id, ...more },
      });
    if (kind === 'submit') event({ type: 'wrap_up_submitted', versions: { summary: 2, ticket: 1 } });
    else if (kind === 'reopen') event({ type: 'wrap_up_reopened' });
    else drafts.set(id, { ...drafts.get(id), [kind]: { kind, version: body.base_version, ...body, updated_at: '' } });
    if (kind === 'submit') return json({ versions: { summary: 2, ticket: 1 } });
    return res.writeHead(204).end();
  }
  const history = /^artifacts\/(summary|ticket)\/versions$/.exec(what);
  if (history !== null) {
    const made = artifactsFor(entry).find((a) => a.kind === history[1]);
    const one = { ...made, author: null, author_name: '', base_version: null, created_at: entry.call.started_at };
    const changes = [{ field: 'overall', before: '客户的卡被盗刷。', after: '客户的卡被盗刷，已冻结并登记否认交易。' }];
    const two = { ...one, version: 2, author: 'u-lin', author_name: '林晓', base_version: 1, changes };
    return json({ versions: made === undefined ? [] : [{ ...one, changes: [] }, two] });
  }
  if (what === 'whispers') {
    store(entry.call.call_id, {
      org_id: 'hesui',
      call_id: entry.call.call_id,
      seq: entry.call.last_seq + 1,
      epoch: 1,
      at: new Date().toISOString(),
      schema_version: 3,
      event: { type: 'whisper_sent', whisper_id: 'w1', user_id: bearer.user_id, text: body.text },
    });
    return json({ whisper_id: 'w1' }, 201);
  }
  if (what.endsWith('/rerun')) return json({}, 202);
  if (what === 'feedback') return res.writeHead(204).end();
  return problem(404, 'Not found');
});

/** Rows of the live board: those asked for with /mock/board, made up. */
let boardSize = 0;
function boardRows() {
  const names = ['林晓', '赵宁', '陈思远', '周倩', '吴桐', '何嘉', '许诺', '孙悦'];
  const moods = ['calm', 'calm', 'confused', 'calm', 'anxious', 'calm', 'angry'];
  return Array.from({ length: boardSize }, (_, i) => {
    const mood = moods[i % moods.length];
    const critical = i % 9 === 6 ? 1 : 0;
    const complaint = { calm: 0.05, confused: 0.15, anxious: 0.35, angry: 0.7 }[mood];
    return {
      call_id: i === 0 ? 'now' : `board-${i}`,
      started_at: new Date(Date.now() - 20_000 - i * 13_000).toISOString(),
      agent_id: `u-${i}`,
      agent_name: names[i % names.length],
      team_id: i % 3 === 0 ? 'cards' : 'loans',
      own: false,
      language: 'zh',
      direction: 'inbound',
      skill: '',
      held_since: i % 11 === 3 ? new Date(Date.now() - 42_000).toISOString() : null,
      mood: i % 5 === 4 ? '' : mood,
      mood_trend: i % 5 === 4 ? '' : ['rising', 'steady', 'easing'][i % 3],
      mood_confidence: 0.74,
      complaint_risk: complaint,
      alerts: { ...(critical ? { critical } : {}), ...(i % 4 === 1 ? { warn: 2 } : {}) },
      last_rule: critical ? 'promise-recovery' : '',
      intent: ['card_fraud', 'card_loss', '', 'loan_prepay'][i % 4],
      whispers: 0,
      down: [],
      seq: 4,
      risk: 1 - (1 - complaint) * (critical ? 0.4 : 1) * (i % 4 === 1 ? 0.5625 : 1),
    };
  });
}

async function page(path, res) {
  const file = extname(path) === '' ? 'index.html' : normalize(path).replace(/^\/+/, '');
  try {
    const data = await readFile(join(UI, file));
    res.writeHead(200, {
      'Content-Type': TYPES[extname(file)] ?? 'application/octet-stream',
      'Content-Security-Policy': CSP,
    });
    res.end(data);
  } catch {
    res.writeHead(404).end();
  }
}

const sockets = new WebSocketServer({
  server,
  path: '/api/v1/feed',
  handleProtocols: (offered) => (offered.has('pangting.feed.v1') ? 'pangting.feed.v1' : false),
});
sockets.on('connection', (socket) => {
  const feed = {
    socket,
    user: null,
    watching: new Set(),
    send: (message) => socket.readyState === 1 && feed.user !== null && socket.send(JSON.stringify(message)),
    sees: (call) => feed.watching.has(call.call_id) || call.agent_id === feed.user?.user_id,
    opened: (call) => feed.sees(call) && feed.send({ type: 'call_opened', call: { ...call } }),
    event: (callId, envelope) =>
      feed.sees(calls.get(callId).call) && feed.send({ type: 'event', call_id: callId, envelope }),
    catchUp: (callId, after) => {
      for (const envelope of calls.get(callId)?.envelopes ?? []) if (envelope.seq > after) feed.event(callId, envelope);
    },
  };
  feeds.add(feed);
  socket.on('close', () => feeds.delete(feed));
  socket.on('message', (data) => {
    const message = JSON.parse(data.toString());
    if (message.type === 'hello') {
      feed.user = tickets.get(message.ticket) ?? null;
      tickets.delete(message.ticket);
      if (feed.user === null) return socket.close(4401);
      feed.send({ type: 'welcome', user: feed.user, server_time: new Date().toISOString(), heartbeat_s: 15 });
      for (const { call } of calls.values()) {
        const resumed = message.resume[call.call_id];
        if (call.agent_id !== feed.user.user_id || (call.phase === 'ended' && resumed === undefined)) continue;
        feed.opened(call);
        feed.send({
          type: 'secrets',
          call_id: call.call_id,
          values: { '【姓名#1】': '陈明', '【手机号#1】': '139 0000 5678', '【尾号#1】': '3678' },
        });
        feed.catchUp(call.call_id, resumed ?? 0);
      }
    } else if (message.type === 'watch') {
      feed.watching.add(message.call_id);
      feed.catchUp(message.call_id, message.after_seq);
    } else if (message.type === 'board') {
      feed.send({ type: 'board', reset: true, rows: boardRows(), gone: [] });
    } else if (message.type === 'unwatch') feed.watching.delete(message.call_id);
    else if (message.type === 'feedback') {
      const { client_id, call_id, suggestion_id, action, text = '', reason = '' } = message;
      const entry = calls.get(call_id);
      store(call_id, {
        org_id: 'hesui',
        call_id,
        seq: entry.call.last_seq + 1,
        epoch: 1,
        at: new Date().toISOString(),
        schema_version: 1,
        event: { type: 'suggestion_feedback', suggestion_id, action, user_id: feed.user.user_id, text, reason },
      });
      feed.send({ type: 'ack', client_id });
    }
  });
});
setInterval(() => {
  for (const feed of feeds) feed.send({ type: 'heartbeat' });
}, 15_000);

server.listen(PORT, () =>
  console.log(`http://localhost:${PORT}  lin (agent) or wang (inspector), any password of 4 characters`),
);
