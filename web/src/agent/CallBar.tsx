// The line above everything: how the call stands, how the customer comes across, the connection. Under it, who is calling.
import { useRef } from 'preact/hooks';
import type { CallState } from '../core/callstate.ts';
import type { Phase } from '../core/connection.ts';
import { clock, percent } from '../core/format.ts';
import type { EventOf } from '../core/protocol.ts';
import { useApp } from '../ui/app.ts';
import { Icon } from '../ui/icons.tsx';
import { Rich } from '../ui/Rich.tsx';
import type { AgentModel } from './model.ts';

export type ConnectionState = 'online' | 'connecting' | 'reconnecting' | 'stopped';

export function connectionState(phase: Phase, everOnline: boolean): ConnectionState {
  if (phase === 'online') return 'online';
  if (phase === 'stopped' || phase === 'refused') return 'stopped';
  return everOnline ? 'reconnecting' : 'connecting';
}

export function CallBar(props: { model: AgentModel; state: CallState | null; now: number; pills: boolean }) {
  const { model, state, now, pills } = props;
  const app = useApp();
  const t = app.t.value;
  const connection = model.feed.connection.value;
  const conn = connectionState(connection.phase, connection.everOnline);
  const others = [...model.calls.value.values()].filter((c) => c.call.call_id !== state?.call.call_id);
  const live = pills ? others.find((c) => c.call.phase === 'live') : undefined;
  const previous = !pills ? undefined : others.filter((c) => c.call.phase === 'ended').at(-1);
  const elapsed =
    state === null
      ? 0
      : state.call.phase === 'live' && state.call.started_at !== null
        ? now - Date.parse(state.call.started_at)
        : state.call.duration_ms;
  return (
    <section class="callbar" aria-label={t('call.bar')} data-testid="callbar">
      {state !== null && (
        <>
          <span class={`phase ${state.call.phase}`} data-testid="call-phase" data-phase={state.call.phase}>
            <i aria-hidden="true" /> {t(`call.${state.call.phase}`)}
          </span>
          {state.call.held && (
            <span class="pill held" role="status" data-testid="call-held">
              {t('call.held')}
            </span>
          )}
          <span class="num timer" role="timer" aria-label={t('call.duration')}>
            {clock(elapsed)}
          </span>
          {state.call.phase === 'ended' ? (
            <span class="dim">{app.word(`call.end.${state.call.end_reason}`, state.call.end_reason)}</span>
          ) : (
            <Mood state={state} />
          )}
          <Talk state={state} now={now} />
        </>
      )}
      {state === null && <span class="dim">{t('app.tagline')}</span>}
      <span class="grow" />
      {live !== undefined && (
        <button type="button" class="pill new" onClick={() => model.select(live.call.call_id)}>
          {t('call.switch')}
        </button>
      )}
      {live === undefined && previous !== undefined && (
        <button type="button" class="pill" onClick={() => model.select(previous.call.call_id)}>
          {t('call.previous')}
        </button>
      )}
      <span
        class={`conn ${conn}`}
        role="status"
        data-testid="connection"
        data-state={conn}
        title={connection.problem || t(`conn.${conn}`)}
      >
        <i aria-hidden="true" />
        <span class={conn === 'online' ? 'sr-only' : ''}>
          {t(conn === 'reconnecting' && !navigator.onLine ? 'conn.offline' : `conn.${conn}`)}
        </span>
      </span>
      {conn === 'reconnecting' && (
        <p class="conn-note">
          {connection.problem || t('conn.kept')}
          {connection.outbox.length > 0 && ` ${t('conn.pending', { n: connection.outbox.length })}`}
        </p>
      )}
    </section>
  );
}

const TREND = { rising: '↗', steady: '→', easing: '↘' } as const;

/** A dot, a word and where it goes; its place is kept from the beginning. An estimate about the talk, never a fact about a person. */
export function MoodDot({ mood }: { mood: EventOf<'mood_changed'> | undefined }) {
  const t = useApp().t.value;
  if (mood === undefined) {
    return (
      <span class="mood none" title={t('mood.none')} data-testid="mood">
        <i aria-hidden="true" />
        <span class="sr-only">{t('mood.none')}</span>
      </span>
    );
  }
  const risk = mood.complaint_risk >= 0.5 ? ` · ${t('mood.risk.p', { p: percent(mood.complaint_risk) })}` : '';
  return (
    <span
      class={`mood ${mood.mood}`}
      data-testid="mood"
      data-mood={mood.mood}
      data-trend={mood.trend}
      title={`${t('mood.estimate', { p: percent(mood.confidence) })} · ${t(`mood.trend.${mood.trend}`)}${risk}`}
    >
      <i aria-hidden="true" /> {t(`mood.${mood.mood}`)}
      <span aria-hidden="true">{TREND[mood.trend]}</span>
      <span class="sr-only">{`${t(`mood.trend.${mood.trend}`)} ${t('mood.estimate', { p: percent(mood.confidence) })}`}</span>
    </span>
  );
}

function Mood({ state }: { state: CallState }) {
  return <MoodDot mood={state.moods.at(-1)} />;
}

/** Silence is worth a hint after this long, talking at once at once. */
const SILENCE_MS = 8000;

function Talk({ state, now }: { state: CallState; now: number }) {
  const t = useApp().t.value;
  const quietSince = useRef<number | null>(null);
  if (state.call.phase !== 'live' || state.call.held) return null;
  const speaking = Object.values(state.speaking).filter(Boolean).length;
  if (speaking > 0 || state.utterances.length === 0) quietSince.current = null;
  else quietSince.current ??= now;
  const quiet = quietSince.current === null ? 0 : now - quietSince.current;
  if (speaking > 1) return <span class="talk-hint warn">{t('talk.both')}</span>;
  if (quiet < SILENCE_MS) return null;
  return <span class="talk-hint dim num">{t('talk.silence', { n: Math.floor(quiet / 1000) })}</span>;
}

/** What the telephone system said about the caller. Personal values are chips that only the call's own agent can open. */
export function CustomerCard({ state }: { state: CallState }) {
  const app = useApp();
  const t = app.t.value;
  const { call, metadata, secrets } = state;
  const name = metadata.customer_name ?? metadata.customer ?? '';
  const number = call.ani || metadata.from || '';
  const fallback = call.external_id.startsWith('browser-') ? t('call.page') : call.external_id || t('call.unknown');
  const level = LEVELS.map((key) => metadata[key]).find((value) => value !== undefined && value !== '');
  const facts: [string, string][] = [
    ['direction', call.direction === 'outbound' ? t('call.direction.outbound') : ''],
    ['skill', call.skill],
    ['dnis', call.dnis],
    ['customer_id', call.customer_id],
  ];
  return (
    <section class="customer" aria-label={t('call.customer')} data-testid="customer-card">
      <Icon name="phone" size={14} />
      <strong class="caller">
        {name !== '' && <Rich text={name} secrets={secrets} />}
        {name !== '' && number !== '' && ' · '}
        {number !== '' && <Rich text={number} secrets={secrets} />}
        {name === '' && number === '' && fallback}
      </strong>
      {level !== undefined && (
        <span class="tag" data-testid="customer-level">
          <Rich text={level} secrets={secrets} />
        </span>
      )}
      {facts.map(
        ([key, value]) =>
          value !== '' && (
            <span key={key} class="dim" data-testid={`call-${key}`} title={app.word(`call.fact.${key}`, key)}>
              <Rich text={value} secrets={secrets} />
            </span>
          ),
      )}
    </section>
  );
}

/** What telephone systems call the customer's standing with the bank. */
const LEVELS = ['customer_level', 'level', 'tier', 'segment', 'vip'];
