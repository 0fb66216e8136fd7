// One line for what must be seen now: compliance alerts, a supervisor's word, a part of the copilot that does not help. It keeps its place, so it never covers or moves a reply.
import { useEffect, useRef, useState } from 'preact/hooks';
import type { Alert, CallState, Degradable } from '../core/callstate.ts';
import { useApp } from '../ui/app.ts';
import { Icon } from '../ui/icons.tsx';
import { Rich } from '../ui/Rich.tsx';
import { jumpTo } from '../ui/Transcript.tsx';

/** Notes and cautions leave the strip for the log after this long; a warning or a whisper stays until it is acknowledged. */
const STRIP_MS = 30_000;

export type StripItem = { seq: number; at: string } & (
  | { kind: 'alert'; alert: Alert['alert'] }
  | { kind: 'whisper'; text: string }
);

export function stripItems(state: CallState): StripItem[] {
  const items: StripItem[] = [
    ...state.alerts.map((a) => ({ ...a, kind: 'alert' as const })),
    ...state.whispers.map((w) => ({ ...w, kind: 'whisper' as const })),
  ];
  return items.sort((a, b) => a.seq - b.seq);
}

/** The newest that is still to be shown; what must be acknowledged comes before what fades. */
export function inFront(items: readonly StripItem[], dismissed: ReadonlySet<number>, now: number): StripItem | null {
  const open = items.filter((item) => !dismissed.has(item.seq));
  const stays = (item: StripItem): boolean => item.kind === 'whisper' || item.alert.severity === 'critical';
  const fading = open.filter((item) => !stays(item) && now - Date.parse(item.at) < STRIP_MS);
  return open.filter(stays).at(-1) ?? fading.at(-1) ?? null;
}

export function Strip(props: {
  state: CallState;
  now: number;
  dismissed: ReadonlySet<number>;
  dismiss: (seq: number) => void;
  shortcut: string;
}) {
  const { state, now, dismissed, dismiss, shortcut } = props;
  const app = useApp();
  const t = app.t.value;
  const items = stripItems(state);
  const shown = inFront(items, dismissed, now);
  const down = state.call.phase === 'ended' ? [] : (Object.keys(state.down) as Degradable[]);
  const look =
    shown === null
      ? down.length > 0
        ? 'degraded'
        : 'quiet-strip'
      : shown.kind === 'whisper'
        ? 'whisper'
        : shown.alert.severity;
  return (
    <section class={`alerts ${look}`} aria-label={t('alert.title')}>
      <div class="strip">
        <div class="strip-text" role="status" aria-live="polite">
          {shown === null && down.length > 0 ? (
            <>
              <Icon name="info" size={14} />
              <span class="alert-text" data-testid="degraded" data-parts={down.join(' ')}>
                {down.map((part) => t(`degraded.${part}`)).join(' ')}
              </span>
            </>
          ) : shown === null ? (
            <span class="dim">
              <Icon name="check" size={14} /> {t('alert.title')} · {t('alert.none')}
            </span>
          ) : (
            <StripText item={shown} />
          )}
        </div>
        {shown !== null && (
          <button
            type="button"
            class="quiet small"
            data-testid="alert-dismiss"
            aria-keyshortcuts={shortcut}
            title={shortcut}
            onClick={() => dismiss(shown.seq)}
          >
            {t('alert.dismiss')}
          </button>
        )}
        {items.length > 0 && <Log items={items} />}
      </div>
    </section>
  );
}

function StripText({ item }: { item: StripItem }) {
  const app = useApp();
  const t = app.t.value;
  if (item.kind === 'whisper') {
    return (
      <>
        <Icon name="whisper" size={16} />
        <span class="alert-text" data-testid="whisper">
          <strong>{t('whisper.from')}</strong> {item.text}
        </span>
      </>
    );
  }
  const { alert } = item;
  const rule = app.labels.value.compliance_rules[alert.rule_id];
  return (
    <>
      <Icon name={alert.severity === 'info' ? 'info' : 'alert'} size={16} />
      <span class="alert-text" data-testid="alert" data-rule-id={alert.rule_id} data-severity={alert.severity}>
        <span class="sr-only">{t(`alert.${alert.severity}`)}：</span>
        {rule?.advice || rule?.name || alert.rule_id}
      </span>
    </>
  );
}

/** Everything that was in the strip, over what is below it: opening it moves nothing. */
function Log({ items }: { items: readonly StripItem[] }) {
  const app = useApp();
  const t = app.t.value;
  const [open, setOpen] = useState(false);
  const box = useRef<HTMLDivElement>(null);
  const rules = app.labels.value.compliance_rules;
  useEffect(() => {
    if (!open) return;
    const away = (e: PointerEvent): void => {
      if (!(e.target instanceof Node) || box.current?.contains(e.target) !== true) setOpen(false);
    };
    const onEscape = (e: KeyboardEvent): void => {
      if (e.key === 'Escape') setOpen(false);
    };
    document.addEventListener('pointerdown', away);
    document.addEventListener('keydown', onEscape);
    return () => {
      document.removeEventListener('pointerdown', away);
      document.removeEventListener('keydown', onEscape);
    };
  }, [open]);
  return (
    <div class="alert-log" ref={box}>
      <button
        type="button"
        class="quiet small num"
        aria-expanded={open}
        aria-label={t('alert.log', { n: items.length })}
        data-testid="alert-log"
        onClick={() => setOpen(!open)}
      >
        {items.length} <Icon name="down" size={12} />
      </button>
      {open && (
        <ul class="popover">
          {[...items].reverse().map((item) => (
            <li key={item.seq} class={item.kind === 'alert' ? item.alert.severity : 'whisper'}>
              {item.kind === 'whisper' ? (
                <p class="quote-line">
                  <strong>{t('whisper.from')}</strong> {item.text}
                </p>
              ) : (
                <button type="button" class="quote" onClick={() => jumpTo(item.alert.utterance_id)}>
                  <strong>{rules[item.alert.rule_id]?.name ?? item.alert.rule_id}</strong>{' '}
                  <Rich text={item.alert.quote} />
                </button>
              )}
            </li>
          ))}
        </ul>
      )}
    </div>
  );
}
