// Screenshots of every screen and state against the mock server: node scripts/look.mjs [--out /tmp/look] [--only name]
import { spawn } from 'node:child_process';
import { mkdir } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { chromium } from 'playwright-core';

const arg = (name, fallback) =>
  process.argv.includes(`--${name}`) ? process.argv[process.argv.indexOf(`--${name}`) + 1] : fallback;
const OUT = arg('out', fileURLToPath(new URL('../../reports/look/', import.meta.url)));
const ONLY = arg('only', '');
const PORT = 8124;
const BASE = `http://localhost:${PORT}`;
await mkdir(OUT, { recursive: true });
const server = spawn(
  process.execPath,
  [fileURLToPath(new URL('mock-server.mjs', import.meta.url)), '--port', String(PORT)],
  { stdio: ['ignore', 'pipe', 'inherit'] },
);
await new Promise((ready) => server.stdout.once('data', ready));
const post = (path, body) => fetch(`${BASE}${path}`, { method: 'POST', body: JSON.stringify(body) });
const browser = await chromium.launch({
  executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium',
  args: [
    '--no-sandbox',
    '--disable-gpu',
    '--disable-background-networking',
    '--disable-component-update',
    '--no-first-run',
  ],
});
const failures = [];

async function open({ width, height, dark = false, language = 'zh', user = 'lin', path = '/' }) {
  const context = await browser.newContext({
    viewport: { width, height },
    colorScheme: dark ? 'dark' : 'light',
    deviceScaleFactor: 2,
    locale: language === 'zh' ? 'zh-CN' : 'en-GB',
    reducedMotion: 'reduce',
  });
  const page = await context.newPage();
  page.on(
    'console',
    (m) => m.type() === 'error' && !/WebSocket|Failed to load resource/.test(m.text()) && failures.push(m.text()),
  );
  page.on('pageerror', (e) => failures.push(String(e)));
  await page.goto(BASE + (user === null ? path : '/'));
  if (user !== null) {
    await page.getByTestId('signin-username').fill(user);
    await page.getByTestId('signin-password').fill('12345');
    await page.getByTestId('signin-submit').click();
    await page.getByTestId(user !== 'wang' ? 'agent-page' : 'calls-page').waitFor();
    if (path !== '/') await page.goto(BASE + path);
  }
  return page;
}
async function shot(name, options, act = async () => {}) {
  if (ONLY !== '' && !name.includes(ONLY)) return;
  const page = await open(options);
  try {
    await act(page);
    await page.waitForTimeout(250);
    const wide = await page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
    if (wide > 0) failures.push(`${name}: the page scrolls sideways by ${wide}px`);
    await page.screenshot({ path: `${OUT}/${name}.png` });
    console.log(name);
  } catch (error) {
    failures.push(`${name}: ${error}`);
    await page.screenshot({ path: `${OUT}/${name}.png` });
  }
  await page.context().close();
}
const card = (page) => page.getByTestId('suggestion').waitFor();

await shot('signin', { width: 420, height: 720, user: null });
await shot('signin-dark-en', { width: 420, height: 720, user: null, dark: true, language: 'en' });
await shot('enrol', { width: 420, height: 760, user: null, path: '/enrol#good' }, (p) =>
  p.getByTestId('enrol').waitFor(),
);
await shot('calls-empty', { width: 1100, height: 500, user: 'wang' }, (p) => p.getByTestId('calls-empty').waitFor());
await shot('agent-idle-360', { width: 360, height: 740 }, (p) => p.locator('.conn.online').waitFor());
const setup = (page) => page.getByTestId('try-setup').waitFor();
await shot('try-320', { width: 320, height: 640, path: '/try' }, setup);
await shot('try-320-en-dark', { width: 320, height: 640, path: '/try', language: 'en', dark: true }, setup);
await shot('try-1100', { width: 1100, height: 760, path: '/try' }, setup);
await shot('try-off-360', { width: 360, height: 640, path: '/agent' }, async (p) => {
  await p.route('**/api/v1/microphone', (r) =>
    r.fulfill({ json: { calls_each: 0, setting: 'telephony.browser_calls', url: '' } }),
  );
  await p.goto(`${BASE}/try`);
  await p.locator('[data-obstacle=off]').waitFor();
});
await shot('try-no-line-420', { width: 420, height: 860, path: '/try' }, async (p) => {
  await setup(p);
  await p.getByTestId('try-start').click();
  await p.locator('[data-problem]').waitFor();
});
await post('/mock/start', { log: 'card-fraud', until_ms: 35800, instant_ms: 35500, call_id: 'now' });
await shot('agent-360', { width: 360, height: 800 }, card);
await shot('agent-320', { width: 320, height: 640 }, card);
await shot('agent-480', { width: 480, height: 860 }, card);
await shot('agent-480-dark', { width: 480, height: 860, dark: true }, card);
await shot('agent-360-en', { width: 360, height: 800, language: 'en' }, card);
await shot('agent-1100', { width: 1100, height: 760 }, card);
await shot('agent-zoom200', { width: 240, height: 400 }, card);
await shot('agent-why-360', { width: 360, height: 800 }, async (p) => {
  await card(p);
  await p.getByTestId('intent').first().click();
});
await shot('agent-edit-360', { width: 360, height: 800 }, async (p) => {
  await card(p);
  await p.keyboard.press('Alt+e');
});
await shot('agent-reject-360', { width: 360, height: 800 }, async (p) => {
  await card(p);
  await p.keyboard.press('Alt+x');
});
await shot('agent-options-480', { width: 480, height: 860, dark: true }, async (p) => {
  await card(p);
  await p.locator('.options > summary').click();
});
await shot('agent-search-480', { width: 480, height: 860 }, async (p) => {
  await card(p);
  await p.keyboard.press('/');
  await p.getByTestId('kb-input').fill('补卡要工本费吗');
  await p.getByTestId('kb-hit').first().waitFor();
});
await shot('agent-note-480', { width: 480, height: 900 }, async (p) => {
  await card(p);
  await p.keyboard.press('Alt+j');
  await p.getByTestId('note-text').fill('客户下午三点后方便接听');
  await p.locator('[data-testid=save-state][data-state=saved]').waitFor();
});
await shot('agent-whisper-360-dark', { width: 360, height: 800, dark: true }, async (p) => {
  await card(p);
  await fetch(`${BASE}/api/v1/calls/now/whispers`, {
    method: 'POST',
    headers: { authorization: 'Bearer wang' },
    body: JSON.stringify({ text: '先核实身份，再说处理时效' }),
  });
  await p.getByTestId('whisper').waitFor();
});
await shot('agent-help-360', { width: 360, height: 700 }, async (p) => {
  await card(p);
  await p.keyboard.press('?');
});
await shot('agent-reconnecting-360', { width: 360, height: 800 }, async (p) => {
  await card(p);
  await p.route('**/api/v1/tickets', (r) => r.abort());
  await post('/mock/drop', {});
  await p.locator('.conn.reconnecting').waitFor();
  await p.keyboard.press('Alt+1');
});
await post('/mock/start', { log: 'card-fraud', until_ms: 45900, instant_ms: 45500, call_id: 'now2' });
await shot('agent-partial-480', { width: 480, height: 860 }, async (p) => {
  await card(p);
  await p.waitForTimeout(400);
  await post('/mock/push', {
    type: 'partial',
    call_id: 'now',
    partial: {
      channel: 'customer',
      utterance_id: 'customer-9',
      start_ms: 48000,
      end_ms: 50000,
      stable: '好的，补一张新卡',
      unstable: '要多久',
      language: 'zh',
    },
  });
  await post('/mock/push', { type: 'speech', call_id: 'now', channel: 'customer', speaking: true, at_ms: 48000 });
});
const board = { width: 1280, height: 760, user: 'wang', path: '/board' };
await shot('board-empty', { ...board, height: 400 }, (p) => p.getByTestId('board-empty').waitFor());
await post('/mock/board', { rows: 300 });
const boardRows = (p) => p.getByTestId('board-row').first().waitFor();
await shot('board', board, boardRows);
await shot('board-dark-en', { ...board, dark: true, language: 'en' }, boardRows);
await shot('board-480', { ...board, width: 480 }, boardRows);
for (const [name, options] of [
  ['board-open', {}],
  ['board-open-dark-en', { dark: true, language: 'en' }],
]) {
  await shot(name, { ...board, ...options }, async (p) => {
    await boardRows(p);
    await p.locator('[data-call-id=now] .row-open').click();
    await p.getByTestId('board-call').waitFor();
    await p.locator('[data-call-id=now]').scrollIntoViewIfNeeded();
  });
}
await post('/mock/finished', { log: 'card-fraud', hours_ago: 1, call_id: 'done-1' });
await post('/mock/finished', { log: 'rare-events', hours_ago: 3, call_id: 'done-2' });
await post('/mock/finished', { log: 'card-fraud', hours_ago: 26, call_id: 'done-3' });
await shot('calls', { width: 1200, height: 560, user: 'wang' }, async (p) => {
  await p.locator('.score-cell').first().waitFor();
  await p.keyboard.press('j');
});
await shot('calls-dark-en', { width: 1200, height: 560, user: 'wang', dark: true, language: 'en' }, (p) =>
  p.locator('.score-cell').first().waitFor(),
);
await shot('calls-360', { width: 360, height: 640, user: 'wang' }, (p) => p.getByTestId('call-row').first().waitFor());
for (const [name, options] of [
  ['call', {}],
  ['call-dark', { dark: true }],
  ['call-en', { language: 'en' }],
  ['call-480', { width: 480, height: 1400 }],
]) {
  await shot(name, { width: 1280, height: 860, user: 'wang', path: '/calls/done-1', ...options }, async (p) => {
    await p.getByTestId('tab-qa').click();
    await p.getByTestId('qa-item').first().waitFor();
    await p.getByTestId('evidence').first().click();
    await p.waitForTimeout(900);
  });
}
const jobs = (p) => p.getByTestId('job-row').first().waitFor();
await shot('jobs', { width: 1200, height: 460, user: 'wang', path: '/jobs' }, async (p) => {
  await jobs(p);
  await p.getByTestId('jobs-all').click();
});
await shot(
  'jobs-open-en-dark',
  { width: 1200, height: 460, user: 'wang', path: '/jobs', language: 'en', dark: true },
  async (p) => {
    await p.getByTestId('jobs-open').click();
    await jobs(p);
  },
);
await shot('jobs-discard-en', { width: 900, height: 460, user: 'wang', path: '/jobs', language: 'en' }, async (p) => {
  await jobs(p);
  await p.getByTestId('jobs-all').click();
  await p.getByTestId('jobs-discard').click();
});
await shot('jobs-empty', { width: 700, height: 360, user: 'wang', path: '/jobs' }, async (p) => {
  await p.getByTestId('jobs-discarded').click();
  await p.getByTestId('jobs-empty').waitFor();
});
const webhooks = (p) => p.getByTestId('webhook').first().waitFor();
await shot('webhooks', { width: 1100, height: 620, user: 'wang', path: '/webhooks' }, async (p) => {
  await webhooks(p);
  await p.getByTestId('webhook-log').click();
  await p.getByTestId('webhook-message').first().waitFor();
});
await shot(
  'webhooks-new-en-dark',
  { width: 900, height: 820, user: 'wang', path: '/webhooks', language: 'en', dark: true },
  async (p) => {
    await webhooks(p);
    await p.getByTestId('webhook-new').click();
    await p.getByTestId('webhook-form').waitFor();
  },
);
await shot('call-summary', { width: 1280, height: 860, user: 'wang', path: '/calls/done-1' }, async (p) => {
  await p.getByTestId('artifact').waitFor();
  await p.locator('.sug-log summary').click();
});
await shot('call-live', { width: 1280, height: 860, user: 'wang', path: '/calls/now' }, (p) =>
  p.getByTestId('utterance').first().waitFor(),
);
await shot('call-missing', { width: 900, height: 400, user: 'wang', path: '/calls/none' }, (p) =>
  p.getByRole('alert').waitFor(),
);
for (const [name, options] of [
  ['after-480', {}],
  ['after-360-dark', { width: 360, height: 800, dark: true }],
  ['after-1100-en', { width: 1100, height: 800, language: 'en' }],
]) {
  await shot(`agent-${name}`, { width: 480, height: 900, user: 'zhao', ...options }, async (p) => {
    await p.getByTestId('agent-page').waitFor();
    await post('/mock/start', {
      log: 'card-fraud',
      agent_id: 'u-zhao',
      partials: false,
      speed: 4,
      instant_ms: 66000,
      call_id: `ends-${name}`,
    });
    await p.getByTestId('artifacts').waitFor();
    await p.screenshot({ path: `${OUT}/agent-${name}-pending.png` });
    await p.getByTestId('form-overall').waitFor();
    await p.locator('[data-testid=tab-qa][data-ready=true]').waitFor();
  });
}
await post('/mock/start', {
  log: 'rare-events',
  agent_id: 'u-zhao',
  partials: false,
  until_ms: 5000,
  instant_ms: 4900,
  call_id: 'odd',
});
await shot('agent-nothing-degraded-360', { width: 360, height: 740, user: 'zhao' }, card);
await shot('agent-generated-360', { width: 360, height: 740, user: 'zhao' }, async (p) => {
  await post('/mock/start', {
    log: 'rare-events',
    agent_id: 'u-zhao',
    partials: false,
    until_ms: 15000,
    instant_ms: 15500,
    call_id: 'odd2',
  });
  await p
    .getByTestId('callbar')
    .getByRole('button')
    .first()
    .waitFor({ timeout: 1000 })
    .catch(() => undefined);
  const other = p.locator('.callbar .pill.new');
  if (await other.count()) await other.click();
  await card(p);
});
await browser.close();
server.kill();
if (failures.length > 0) {
  console.error(failures.join('\n'));
  process.exitCode = 1;
}
