// Try it: a person's own voice as a call, with the agent's sidebar beside it.
import { useCallback, useEffect, useMemo, useRef, useState } from 'preact/hooks';
import { connectionState } from '../agent/CallBar.tsx';
import { Desk } from '../agent/Desk.tsx';
import { AgentModel } from '../agent/model.ts';
import { busy } from '../core/line.ts';
import type { Role } from '../core/linestate.ts';
import type { PageCalls } from '../net/api.ts';
import { useApp } from '../ui/app.ts';
import { Icon } from '../ui/icons.tsx';
import { ErrorBox, Shell, Skeleton } from '../ui/Shell.tsx';
import { LineBar } from './LineBar.tsx';
import { type Choice, Setup } from './Setup.tsx';
import { canCapture, microphone, microphones, soundFile } from './sources.ts';
import { Telephone } from './telephone.ts';

/** What stands between this page and a call, before anything was tried; null: nothing. */
type Obstacle = 'off' | 'insecure' | 'mixed';

export function TryPage() {
  const app = useApp();
  const [error, setError] = useState<unknown>(null);
  const read = useCallback(() => {
    setError(null);
    app.readPageCalls().catch(setError);
  }, [app]);
  useEffect(read, [read]);
  const allowed = app.pageCalls.value;
  const obstacle = allowed === null ? null : obstacleTo(allowed);
  if (allowed !== null && obstacle === null) return <Talk url={allowed.url} />;
  return (
    <Shell>
      <main id="main" class="try-closed" data-testid="try-page" data-obstacle={obstacle ?? undefined}>
        {error !== null && allowed === null && <ErrorBox error={error} onRetry={read} />}
        {error === null && allowed === null && <Skeleton />}
        {allowed !== null && obstacle !== null && <Closed allowed={allowed} obstacle={obstacle} onRetry={read} />}
      </main>
    </Shell>
  );
}

function obstacleTo({ calls_each, url }: PageCalls): Obstacle | null {
  if (calls_each === 0) return 'off';
  if (!canCapture()) return 'insecure';
  // A browser opens no plain websocket from an https page, except to the machine itself.
  const { protocol, hostname } = new URL(url);
  const here = hostname === 'localhost' || hostname === '127.0.0.1' || hostname === '[::1]';
  return location.protocol === 'https:' && protocol === 'ws:' && !here ? 'mixed' : null;
}

function Closed({ allowed, obstacle, onRetry }: { allowed: PageCalls; obstacle: Obstacle; onRetry: () => void }) {
  const t = useApp().t.value;
  const local = `http://localhost${location.port === '' ? '' : `:${location.port}`}/try`;
  return (
    <div class="idle">
      <span class="idle-mark" aria-hidden="true">
        <Icon name="microphone" size={28} />
      </span>
      <h1>{t(`try.problem.${obstacle}`)}</h1>
      <p>{t(`try.fix.${obstacle}`)}</p>
      {obstacle === 'off' && (
        <>
          <code>{allowed.setting} = 1</code>
          <code>PANGTING_{allowed.setting.toUpperCase().replaceAll('.', '__')}=1</code>
        </>
      )}
      {obstacle === 'insecure' && <code>{local}</code>}
      {obstacle === 'mixed' && <code>{allowed.url}</code>}
      <button type="button" onClick={onRetry}>
        {t('common.retry')}
      </button>
    </div>
  );
}

function Talk({ url }: { url: string }) {
  const app = useApp();
  const model = useMemo(() => new AgentModel(app), [app]);
  const phone = useMemo(() => new Telephone(app.api), [app]);
  const [choice, setChoice] = useState<Choice>({
    role: 'customer' as Role,
    kind: 'microphone',
    deviceId: '',
    file: null,
    language: app.language.value,
  });
  const [devices, setDevices] = useState<MediaDeviceInfo[]>([]);
  const line = phone.line.value;
  const { callId } = line;

  const start = (): void => {
    const { kind, deviceId, file, role, language } = choice;
    if (kind === 'file' && file === null) return;
    phone.start({ role, language }, kind === 'file' && file !== null ? soundFile(file) : microphone(deviceId), url);
  };
  // Effects run some time after the screen has changed: a key that comes in between means what is on the screen.
  const latest = useRef(start);
  latest.current = start;

  const pick = (deviceId: string): void => {
    setChoice((before) => ({ ...before, deviceId }));
    void phone.use(deviceId);
  };

  useEffect(() => {
    const back = (): void => phone.input({ type: 'network_back' });
    const leave = (): void => phone.input({ type: 'leave' });
    window.addEventListener('online', back);
    window.addEventListener('pagehide', leave);
    return () => {
      window.removeEventListener('online', back);
      window.removeEventListener('pagehide', leave);
      leave();
    };
  }, [phone]);

  // The names of the devices are told only after the person has allowed one.
  const allowedNow = busy(line) && line.phase !== 'asking';
  useEffect(() => {
    const look = (): void => void microphones().then(setDevices, () => undefined);
    if (allowedNow || devices.length === 0) look();
    navigator.mediaDevices.addEventListener('devicechange', look);
    return () => navigator.mediaDevices.removeEventListener('devicechange', look);
  }, [allowedNow, devices.length]);

  useEffect(() => {
    if (callId !== null) model.select(callId);
  }, [model, callId]);

  useEffect(() => {
    const onKey = (e: KeyboardEvent): void => {
      if (!e.altKey || e.ctrlKey || e.metaKey || e.code !== 'KeyM' || e.repeat) return;
      e.preventDefault();
      if (e.shiftKey) phone.input({ type: 'end' });
      else if (!busy(phone.line.value)) latest.current();
      else phone.input({ type: phone.line.value.paused ? 'go_on' : 'pause' });
    };
    document.addEventListener('keydown', onKey);
    return () => document.removeEventListener('keydown', onKey);
  }, [phone]);

  const feed = model.feed.connection.value;
  const online = connectionState(feed.phase, feed.everOnline);
  return (
    <Desk
      model={model}
      state={callId === null ? null : model.current.value}
      testid="try-page"
      lead={
        callId !== null && (
          <LineBar
            phone={phone}
            devices={choice.kind === 'microphone' ? devices : []}
            deviceId={choice.deviceId}
            onDevice={pick}
          />
        )
      }
      idle={
        callId === null ? (
          <Setup phone={phone} choice={choice} setChoice={setChoice} devices={devices} onStart={start} />
        ) : (
          <div class="idle" role="status">
            <p class="dim">{app.t.value(`conn.${online}`)}</p>
          </div>
        )
      }
    />
  );
}
