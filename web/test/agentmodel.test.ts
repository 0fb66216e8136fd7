// The sidebar's model over the real feed driver, with a socket and timers driven by hand.
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { AgentModel } from '../src/agent/model.ts';
import type { ClientMessage } from '../src/core/protocol.ts';
import { conceal } from '../src/core/text.ts';
import type { EventEnvelope } from '../src/gen/types.ts';
import { type App, homeOf } from '../src/ui/app.ts';
import { readLog } from './logs.ts';

class FakeSocket {
  static all: FakeSocket[] = [];
  sent: ClientMessage[] = [];
  onopen: (() => void) | null = null;
  onmessage: ((event: { data: unknown }) => void) | null = null;
  onclose: ((event: { code: number }) => void) | null = null;
  constructor(readonly url: URL) {
    FakeSocket.all.push(this);
  }
  send(text: string): void {
    this.sent.push(JSON.parse(text));
  }
  close(): void {}
  say(message: object): void {
    this.onmessage?.({ data: JSON.stringify(message) });
  }
}

const { log, call } = readLog('card-fraud');
const id = call.call_id;
const event = (n: number): object => ({ type: 'event', call_id: id, envelope: log[n - 1] as EventEnvelope });

function fakeApp() {
  const said: string[] = [];
  const kept: Record<string, string> = {};
  const app = {
    recall: (key: string) => kept[key] ?? null,
    remember: (key: string, value: string) => {
      kept[key] = value;
    },
    say: (text: string) => said.push(text),
    describe: String,
    t: { value: (key: string) => key },
    maskTyped: conceal,
    copy: async () => true,
    host: { value: null },
    forget: (key: string) => delete kept[key],
    api: {
      ticket: async () => ({ ticket: 't', expires_in_s: 30 }),
      artifacts: vi.fn(async () => ({ artifacts: [{ kind: 'ticket', version: 1, body: {} }] })),
      events: async () => ({ events: [] }),
      feedbackOnLeave: async () => undefined,
    },
  };
  return { app: app as unknown as App, said, kept, artifacts: app.api.artifacts };
}

async function online(model: AgentModel): Promise<FakeSocket> {
  model.start();
  return reconnected();
}
async function reconnected(): Promise<FakeSocket> {
  await vi.advanceTimersByTimeAsync(20_000);
  const socket = FakeSocket.all.at(-1) as FakeSocket;
  socket.onopen?.();
  socket.say({ type: 'welcome', user: {}, server_time: '', heartbeat_s: 3600 });
  return socket;
}

beforeEach(() => {
  vi.useFakeTimers();
  FakeSocket.all = [];
  vi.stubGlobal('WebSocket', FakeSocket);
  vi.stubGlobal('location', { href: 'https://bank.example/agent' });
  vi.stubGlobal('window', new EventTarget());
});
afterEach(() => {
  vi.useRealTimers();
  vi.unstubAllGlobals();
});

describe('a call in the sidebar', () => {
  it('survives a lost line: everything is kept, sent on from the last event, and nothing comes twice', async () => {
    const { app } = fakeApp();
    const model = new AgentModel(app);
    const first = await online(model);
    expect(first.url.href).toBe('wss://bank.example/api/v1/feed');
    first.say({ type: 'call_opened', call: { ...call, phase: 'live' } });
    for (let n = 1; n <= 9; n += 1) first.say(event(n));
    expect(model.shownCard()?.offer.suggestion_id).toBe('s1');
    first.onclose?.({ code: 1006 });
    model.adopt(model.shownCard() as NonNullable<ReturnType<AgentModel['shownCard']>>, 0);
    const second = await reconnected();
    expect(second.sent[0]).toMatchObject({ type: 'hello', resume: { [id]: 9 } });
    expect(second.sent[1]).toMatchObject({ type: 'feedback', suggestion_id: 's1', action: 'used' });
    for (let n = 7; n <= log.length; n += 1) second.say(event(n));
    expect(model.current.value?.call.last_seq).toBe(log.length);
    expect(model.current.value?.utterances).toHaveLength(11);
    model.stop();
  });

  it('asks once for a hole and goes on when it is filled', async () => {
    const { app } = fakeApp();
    const model = new AgentModel(app);
    const socket = await online(model);
    socket.say({ type: 'call_opened', call: { ...call, phase: 'live' } });
    for (const n of [1, 2, 5, 6, 7]) socket.say(event(n));
    expect(socket.sent.filter((m) => m.type === 'watch')).toEqual([{ type: 'watch', call_id: id, after_seq: 2 }]);
    for (const n of [3, 4, 5, 6, 7]) socket.say(event(n));
    expect(model.current.value?.call.last_seq).toBe(7);
    model.stop();
  });

  it('keeps the card being edited while others come, and sends no PII value back', async () => {
    const { app } = fakeApp();
    const model = new AgentModel(app);
    const socket = await online(model);
    socket.say({ type: 'call_opened', call: { ...call, phase: 'live' } });
    socket.say({ type: 'secrets', call_id: id, values: { '【姓名#1】': '陈明' } });
    for (let n = 1; n <= 9; n += 1) socket.say(event(n));
    model.hold('edit');
    for (let n = 10; n <= log.length; n += 1) socket.say(event(n));
    const card = model.shownCard();
    expect(card?.offer.suggestion_id).toBe('s1');
    if (card !== null) model.feedback(card, 'edited', { text: '陈明先生，已为您冻结。' });
    expect(socket.sent.at(-1)).toMatchObject({
      type: 'feedback',
      action: 'edited',
      text: '【姓名#1】先生，已为您冻结。',
    });
    model.release('edit');
    expect(model.shownCard()?.offer.suggestion_id).toBe('s3');
    model.stop();
  });

  it('reads artifacts when they are ready, and after a reload asks for the same call from its beginning', async () => {
    const { app, artifacts, kept } = fakeApp();
    const model = new AgentModel(app);
    const socket = await online(model);
    socket.say({ type: 'call_opened', call: { ...call, phase: 'live' } });
    for (let n = 1; n <= log.length; n += 1) socket.say(event(n));
    await vi.advanceTimersByTimeAsync(1);
    expect(artifacts).toHaveBeenCalledWith(id);
    // Three came while the first answer was on its way: one more reading is enough, and there is no third.
    expect(artifacts).toHaveBeenCalledTimes(2);
    expect(model.artifacts.value.get(id)?.map((a) => a.kind)).toEqual(['ticket']);
    expect(kept.call).toBe(id);
    model.stop();
    const again = new AgentModel(app);
    const fresh = await online(again);
    expect(fresh.sent[0]).toMatchObject({ type: 'hello', resume: { [id]: 0 } });
    again.stop();
  });
});

it('a new live call comes to the front only when the one before has ended', async () => {
  const model = new AgentModel(fakeApp().app);
  const socket = await online(model);
  socket.say({ type: 'call_opened', call: { ...call, call_id: 'a', phase: 'live' } });
  const started = log[0] as EventEnvelope;
  socket.say({ type: 'event', call_id: 'a', envelope: { ...started, call_id: 'a' } });
  socket.say({ type: 'call_opened', call: { ...call, call_id: 'b', phase: 'live' } });
  expect(model.currentId.value).toBe('a');
  const ended = { type: 'call_ended', reason: 'hangup', duration_ms: 1 } as const;
  socket.say({ type: 'event', call_id: 'a', envelope: { ...started, call_id: 'a', seq: 2, event: ended } });
  socket.say({ type: 'call_opened', call: { ...call, call_id: 'c', phase: 'live' } });
  expect(model.currentId.value).toBe('c');
  model.stop();
});

it('a call that went to another agent leaves nothing on the page', async () => {
  const { app, said } = fakeApp();
  const model = new AgentModel(app);
  const socket = await online(model);
  for (const other of ['a', 'b']) {
    socket.say({ type: 'call_opened', call: { ...call, call_id: other, phase: 'live' } });
    socket.say({ type: 'event', call_id: other, envelope: { ...(log[0] as EventEnvelope), call_id: other } });
  }
  socket.say({ type: 'secrets', call_id: 'a', values: { '【手机号#1】': '13800138000' } });
  expect(model.currentId.value).toBe('a');
  socket.say({ type: 'call_released', call_id: 'a', reason: 'transferred' });
  expect([...model.calls.value.keys()]).toEqual(['b']);
  expect(model.currentId.value).toBe('b');
  expect(said).toEqual(['call.transferred']);
  socket.say({ type: 'call_released', call_id: 'b', reason: 'out_of_scope' });
  expect(model.current.value).toBeNull();
  expect(said).toEqual(['call.transferred']);
  socket.onclose?.({ code: 1006 });
  expect((await reconnected()).sent[0]).toMatchObject({ type: 'hello', resume: {} });
  model.stop();
});

it('people start where they work', () => {
  expect(homeOf(['agent'])).toBe('/agent');
  expect(homeOf(['agent', 'team_lead'])).toBe('/calls');
  expect(homeOf(['inspector'])).toBe('/calls');
});
