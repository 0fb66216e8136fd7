// What has been understood: intent chips with their reasons, slots, the checklist that ticks itself, the compliance strip.
import { useEffect, useRef, useState } from 'preact/hooks';
import type { CallState } from '../core/callstate.ts';
import { UNKNOWN_INTENT } from '../core/fold.ts';
import { clock, percent } from '../core/format.ts';
import type { EventOf } from '../core/protocol.ts';
import { useApp } from '../ui/app.ts';
import { Icon } from '../ui/icons.tsx';
import { Rich } from '../ui/Rich.tsx';
import { jumpTo } from '../ui/Transcript.tsx';

type Intent = EventOf<'intent_detected'>;

/** The latest detection of each intent, newest first. */
export function latestIntents(state: CallState): Intent[] {
  const seen = new Map<string, Intent>();
  for (const { event } of state.intents) {
    if (event.intent === UNKNOWN_INTENT) continue;
    seen.delete(event.intent);
    seen.set(event.intent, event);
  }
  return [...seen.values()].reverse();
}

export function Intents({ state }: { state: CallState }) {
  const app = useApp();
  const t = app.t.value;
  const [open, setOpen] = useState<string | null>(null);
  const box = useRef<HTMLElement>(null);
  const intents = latestIntents(state);
  const slots = Object.values(state.slots);
  useEffect(() => {
    if (open === null) return;
    const away = (e: PointerEvent): void => {
      if (!(e.target instanceof Node) || box.current?.contains(e.target) !== true) setOpen(null);
    };
    const onEscape = (e: KeyboardEvent): void => {
      if (e.key === 'Escape') setOpen(null);
    };
    document.addEventListener('pointerdown', away);
    document.addEventListener('keydown', onEscape);
    return () => {
      document.removeEventListener('pointerdown', away);
      document.removeEventListener('keydown', onEscape);
    };
  }, [open]);
  const why = intents.find((i) => i.intent === open);
  return (
    <section class="intents" aria-label={t('intent.title')} ref={box}>
      <div class="chips">
        {intents.length === 0 && <span class="dim">{t('intent.waiting')}</span>}
        {intents.map((intent, i) => (
          <button
            key={intent.intent}
            type="button"
            class={`chip intent${i === 0 ? ' first' : ''}`}
            data-testid="intent"
            data-intent={intent.intent}
            aria-expanded={open === intent.intent}
            title={t('intent.why')}
            onClick={() => setOpen(open === intent.intent ? null : intent.intent)}
          >
            {app.intentName(intent.intent)} <span class="num">{percent(intent.confidence)}</span>
          </button>
        ))}
      </div>
      <div class="chips slots">
        {slots.map((slot) => (
          <SlotChip key={slot.name} slot={slot} secret={state.secrets[slot.value]} />
        ))}
      </div>
      {why !== undefined && <Why intent={why} state={state} />}
    </section>
  );
}

/** A masked value shows only while the chip is hovered, pressed or focused, and only if this feed was given it. */
function SlotChip({ slot, secret }: { slot: EventOf<'slot_filled'>; secret: string | undefined }) {
  const app = useApp();
  const [open, setOpen] = useState(false);
  const masked = /^【([^【】#]+)#\d+】$/u.exec(slot.value);
  return (
    <button
      type="button"
      class={`chip slot${masked === null ? '' : ' masked'}`}
      data-testid="slot"
      data-slot={slot.name}
      title={masked === null ? slot.spoken : undefined}
      onClick={() => jumpTo(slot.utterance_id)}
      onPointerEnter={() => setOpen(true)}
      onPointerLeave={() => setOpen(false)}
      onFocus={() => setOpen(true)}
      onBlur={() => setOpen(false)}
    >
      <span class="dim">{masked?.[1] ?? app.word(`slot.${slot.name}`, slot.name)}</span>{' '}
      <span class="num">{masked === null ? slotText(slot) : (open && secret) || '••••'}</span>
    </button>
  );
}

function slotText(slot: EventOf<'slot_filled'>): string {
  // Their values are ids; the customer's own word says it in the language of the call.
  if (slot.name === 'product' || slot.name === 'channel') return slot.spoken;
  if (slot.name === 'amount' && /^\d+(\.\d+)?$/.test(slot.value))
    return `¥${Number(slot.value).toLocaleString('zh-CN')}`;
  const year = `${new Date().getFullYear()}-`;
  return slot.value.startsWith(year) ? slot.value.slice(year.length) : slot.value;
}

function Why({ intent, state }: { intent: Intent; state: CallState }) {
  const app = useApp();
  const t = app.t.value;
  const said = state.utterances.find((u) => u.utterance_id === intent.utterance_id);
  return (
    <div class="popover" role="dialog" aria-label={t('intent.why')} data-testid="intent-why">
      <h3>{t('intent.why')}</h3>
      {said !== undefined && (
        <button type="button" class="quote" onClick={() => jumpTo(said.utterance_id)}>
          <span class="dim num">{clock(said.start_ms)}</span> {said.text}
        </button>
      )}
      <ul>
        {intent.why.map((reason, i) => (
          <li key={i}>
            <span class="tag">{t(`intent.why.${reason.kind}`)}</span> {reason.detail}{' '}
            <span class="dim num">{reason.score.toFixed(2)}</span>
          </li>
        ))}
      </ul>
      {intent.alternatives.length > 0 && (
        <p class="dim">
          {t('intent.alternatives')}：
          {intent.alternatives.map((a) => `${app.intentName(a.intent)} ${percent(a.confidence)}`).join('，')}
        </p>
      )}
    </div>
  );
}

export function Checklist({ state }: { state: CallState }) {
  const app = useApp();
  const t = app.t.value;
  const known = new Set(state.call.intents);
  const lists = app.labels.value.checklists.filter((c) => c.id in state.ticks || c.intents.some((i) => known.has(i)));
  // The list of the newest topic first; one with ticks stays reachable below it.
  const order = state.call.intents;
  const rank = (intents: string[]): number => Math.max(-1, ...intents.map((i) => order.lastIndexOf(i)));
  const sorted = [...lists].sort((a, b) => rank(b.intents) - rank(a.intents));
  return (
    <section class="sop" aria-label={t('sop.title')}>
      {sorted.length === 0 && (
        <p class="row-empty">
          <strong>{t('sop.title')}</strong> <span class="dim">{t('sop.waiting')}</span>
        </p>
      )}
      {sorted.length > 0 && <Next state={state} />}
      {sorted.map((list, i) => {
        const ticks = state.ticks[list.id] ?? {};
        const done = list.steps.filter((s) => s.id in ticks).length;
        return (
          <details key={list.id} open={i === 0} data-testid="checklist" data-checklist-id={list.id}>
            <summary>
              <strong>{list.name}</strong>
              <span class="progress" aria-hidden="true">
                <i style={{ width: `${(done / Math.max(1, list.steps.length)) * 100}%` }} />
              </span>
              <span class="num dim">{t('sop.progress', { done, total: list.steps.length })}</span>
            </summary>
            <ol class="steps">
              {list.steps.map((step) => {
                const by = ticks[step.id];
                return (
                  <li key={step.id}>
                    {by === undefined ? (
                      <span class="step" title={step.hint} data-testid="step" data-step-id={step.id} data-done="false">
                        <span class="box" aria-hidden="true" /> {step.name}
                        <span class="sr-only">{t('sop.step.todo')}</span>
                      </span>
                    ) : (
                      <button
                        type="button"
                        class="step done"
                        title={t('sop.step.done')}
                        data-testid="step"
                        data-step-id={step.id}
                        data-done="true"
                        onClick={() => jumpTo(by)}
                      >
                        <span class="box" aria-hidden="true">
                          <Icon name="check" size={12} />
                        </span>{' '}
                        {step.name}
                        <span class="sr-only">{t('sop.step.done')}</span>
                      </button>
                    )}
                  </li>
                );
              })}
            </ol>
          </details>
        );
      })}
    </section>
  );
}

/** The step to do next, with the words for it. Its line is there, before the steps, as long as there are steps. */
function Next({ state }: { state: CallState }) {
  const app = useApp();
  const t = app.t.value;
  const next = state.nextAction;
  if (next === null) return <p class="next dim">{t('sop.next.none')}</p>;
  const list = app.labels.value.checklists.find((c) => c.id === next.checklist_id);
  const step = list?.steps.find((s) => s.id === next.step_id);
  return (
    <p class="next" data-testid="next-action" data-step-id={next.step_id} title={next.script}>
      <strong>{t('sop.next')}</strong> {step?.name ?? next.step_id}
      {next.script !== '' && (
        <span class="dim">
          {' '}
          「<Rich text={next.script} secrets={state.secrets} />」
        </span>
      )}
    </p>
  );
}
