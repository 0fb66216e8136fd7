// During and after a call: is the microphone heard, is the line there, pause, end, once more.
import { useEffect, useRef } from 'preact/hooks';
import { busy } from '../core/line.ts';
import type { Line } from '../core/linestate.ts';
import { useApp } from '../ui/app.ts';
import { Icon } from '../ui/icons.tsx';
import { Link } from '../ui/Shell.tsx';
import { DeviceSelect } from './DeviceSelect.tsx';
import { Trouble } from './Trouble.tsx';
import type { Telephone } from './telephone.ts';

/** So long without a voice, and the person is asked whether the microphone is the right one. */
const QUIET_MS = 6000;

interface Props {
  phone: Telephone;
  /** Empty where there is nothing to choose. */
  devices: readonly MediaDeviceInfo[];
  deviceId: string;
  onDevice: (deviceId: string) => void;
}

export function LineBar({ phone, devices, deviceId, onDevice }: Props) {
  const app = useApp();
  const t = app.t.value;
  const line = phone.line.value;
  const on = busy(line);
  const main = useRef<HTMLButtonElement>(null);
  // The button that was pressed is gone with its screen: whoever works by keyboard goes on here.
  useEffect(() => {
    if (document.activeElement === document.body) main.current?.focus();
  }, [on]);
  const state = stateOf(line);
  return (
    <section class={`linebar ${state}`} aria-label={t('try.line')} data-testid="line" data-state={state}>
      <div class="line-row">
        <span class="line-state" role="status">
          <i aria-hidden="true" /> {t(`try.state.${state}`, { who: t(`channel.${line.wish.role}`) })}
        </span>
        {/* Beside the status, not in it: a number that counts up is not read out. */}
        {state === 'waiting' && <Held phone={phone} />}
        {on && <Level phone={phone} />}
        <span class="grow" />
        {on && devices.length > 1 && <DeviceSelect devices={devices} deviceId={deviceId} onDevice={onDevice} />}
        {on && state !== 'ending' && (
          <>
            <button
              type="button"
              ref={main}
              data-testid="try-pause"
              title="Alt+M"
              aria-keyshortcuts="Alt+M"
              onClick={() => phone.input({ type: line.paused ? 'go_on' : 'pause' })}
            >
              <Icon name={line.paused ? 'microphone' : 'pause'} size={14} />
              {t(line.paused ? 'try.go_on' : 'try.pause')}
            </button>
            <button
              type="button"
              class="end"
              data-testid="try-end"
              title="Alt+Shift+M"
              aria-keyshortcuts="Alt+Shift+M"
              onClick={() => phone.input({ type: 'end' })}
            >
              {t('try.end')}
            </button>
          </>
        )}
        {!on && (
          <>
            <Link to={`/calls/${encodeURIComponent(line.callId ?? '')}`}>{t('try.open_call')}</Link>
            <button
              type="button"
              ref={main}
              class="primary"
              data-testid="try-again"
              onClick={() => phone.input({ type: 'reset' })}
            >
              {t('try.again')}
            </button>
          </>
        )}
      </div>
      {line.problem !== null && <Trouble line={line} />}
      {on && line.problem === null && <Quiet phone={phone} />}
    </section>
  );
}

type State = 'live' | 'paused' | 'waiting' | 'ending' | 'ended' | 'failed';

function stateOf(line: Line): State {
  if (line.phase === 'ending' || line.phase === 'ended' || line.phase === 'failed') return line.phase;
  if (line.phase !== 'live') return 'waiting';
  return line.paused ? 'paused' : 'live';
}

function Level({ phone }: { phone: Telephone }) {
  const t = useApp().t.value;
  const level = phone.level.value;
  return (
    <>
      <meter class="sr-only" aria-label={t('try.level')} max={100} value={Math.round(level * 100)} />
      <span class="level" aria-hidden="true" data-testid="try-level" data-level={level.toFixed(2)}>
        <i style={{ transform: `scaleX(${level.toFixed(2)})` }} />
      </span>
    </>
  );
}

function Held({ phone }: { phone: Telephone }) {
  const t = useApp().t.value;
  return <span class="dim num">{t('try.held', { n: Math.round(phone.heldMs.value / 1000) })}</span>;
}

function Quiet({ phone }: { phone: Telephone }) {
  const t = useApp().t.value;
  const quiet = phone.quietMs.value >= QUIET_MS;
  return (
    <p class={quiet ? 'line-hint' : 'sr-only'} role="status" data-testid="try-quiet">
      {quiet && t('try.quiet')}
    </p>
  );
}
