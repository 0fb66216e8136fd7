// The sidebar. Narrow: one column in reading order. Wide: help on the left, transcript on the right.
import type { ComponentChildren } from 'preact';
import { useEffect, useState } from 'preact/hooks';
import { Artifacts } from '../artifacts/Artifacts.tsx';
import type { CallState } from '../core/callstate.ts';
import type { Phase } from '../core/connection.ts';
import { clock } from '../core/format.ts';
import { SearchDialog } from '../kb/Search.tsx';
import { useApp } from '../ui/app.ts';
import { HelpDialog } from '../ui/Help.tsx';
import { Icon } from '../ui/icons.tsx';
import { typing } from '../ui/keys.ts';
import { Shell } from '../ui/Shell.tsx';
import { jumpTo, Transcript } from '../ui/Transcript.tsx';
import type { AgentModel } from './model.ts';
import { SuggestionArea } from './SuggestionCard.tsx';
import { AlertStrip, Checklist, Intents } from './Understanding.tsx';

export type ConnectionState = 'online' | 'connecting' | 'reconnecting' | 'stopped';

export function connectionState(phase: Phase, everOnline: boolean): ConnectionState {
  if (phase === 'online') return 'online';
  if (phase === 'stopped' || phase === 'refused') return 'stopped';
  return everOnline ? 'reconnecting' : 'connecting';
}

interface Props {
  model: AgentModel;
  /** The call to show, null for none. */
  state: CallState | null;
  /** What is there while no call is shown. */
  idle: ComponentChildren;
  /** Above everything. */
  lead?: ComponentChildren;
  testid: string;
}

export function Desk({ model, state, idle, lead, testid }: Props) {
  const app = useApp();
  const t = app.t.value;
  const [now, setNow] = useState(Date.now());
  const [dialog, setDialog] = useState<'search' | 'help' | null>(null);
  const [editing, setEditing] = useState(false);
  const [rejecting, setRejecting] = useState(false);

  useEffect(() => {
    model.start();
    const tick = setInterval(() => setNow(Date.now()), 1000);
    return () => {
      clearInterval(tick);
      model.stop();
    };
  }, [model]);

  const shownId = model.deck.value.shownId;
  useEffect(() => setRejecting(false), [shownId]);

  useEffect(() => {
    const onKey = (e: KeyboardEvent): void => {
      const card = model.shownCard();
      if (e.altKey && !e.ctrlKey && !e.metaKey && card !== null) {
        const digit = /^Digit([1-3])$/.exec(e.code)?.[1];
        if (digit !== undefined) model.adopt(card, Number(digit) - 1);
        else if (e.code === 'KeyE' && card.offer.kind !== 'nothing') setEditing(true);
        else if (e.code === 'KeyX') setRejecting(true);
        else return;
        e.preventDefault();
        return;
      }
      if (e.ctrlKey || e.metaKey || e.altKey || typing(e.target)) return;
      if (e.key === '/') setDialog('search');
      else if (e.key === '?') setDialog('help');
      else return;
      e.preventDefault();
    };
    document.addEventListener('keydown', onKey);
    return () => document.removeEventListener('keydown', onKey);
  }, [model]);

  const ended = state?.call.phase === 'ended';
  return (
    <Shell
      extra={
        <>
          <button
            type="button"
            class="quiet"
            data-testid="open-search"
            title={`${t('kb.search')}  /`}
            aria-label={t('kb.search')}
            onClick={() => setDialog('search')}
          >
            <Icon name="search" />
          </button>
          <button
            type="button"
            class="quiet wide-only"
            data-testid="open-help"
            title={`${t('help.title')}  ?`}
            aria-label={t('help.title')}
            onClick={() => setDialog('help')}
          >
            <Icon name="keyboard" />
          </button>
        </>
      }
    >
      <main id="main" class={`sidebar${ended ? ' after' : ''}`} data-testid={testid} data-call-id={state?.call.call_id}>
        {lead}
        <CallBar model={model} state={state} now={now} pills={state !== null || lead === undefined} />
        {state === null ? (
          idle
        ) : (
          <>
            <div class="help-column">
              <Degraded state={state} />
              <Intents state={state} />
              {ended ? (
                <Artifacts
                  state={state}
                  artifacts={model.artifacts.value.get(state.call.call_id) ?? []}
                  onUtterance={jumpTo}
                />
              ) : (
                <SuggestionArea
                  model={model}
                  state={state}
                  now={now}
                  editing={editing}
                  setEditing={setEditing}
                  rejecting={rejecting}
                  setRejecting={setRejecting}
                  onSearch={() => setDialog('search')}
                />
              )}
              <AlertStrip key={state.call.call_id} state={state} now={now} />
              <Checklist state={state} />
            </div>
            <div class="talk-column">
              <header class="talk-head">
                <h2>{t(ended ? 'tr.title.ended' : 'tr.title')}</h2>
                {(['customer', 'agent'] as const).map((who) => (
                  <span key={who} class={`speaking${state.speaking[who] ? ' on' : ''}`} data-channel={who}>
                    <i aria-hidden="true" /> {t(`channel.${who}`)}
                  </span>
                ))}
              </header>
              <Transcript state={state} />
            </div>
          </>
        )}
      </main>
      {dialog === 'search' && <SearchDialog onClose={() => setDialog(null)} />}
      {dialog === 'help' && <HelpDialog onClose={() => setDialog(null)} />}
    </Shell>
  );
}

function CallBar(props: { model: AgentModel; state: CallState | null; now: number; pills: boolean }) {
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
    <section class="callbar" aria-label={t('call.customer')} data-testid="callbar">
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
          <span class="caller">
            {customerName(state) ?? t(ofPage(state.call.external_id) ? 'call.page' : 'call.unknown')}
            <CallFacts state={state} />
            {state.call.phase === 'ended' && state.call.end_reason !== '' && (
              <span class="dim"> · {app.word(`call.end.${state.call.end_reason}`, state.call.end_reason)}</span>
            )}
          </span>
        </>
      )}
      {state === null && <span class="caller dim">{t('app.tagline')}</span>}
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
        <span class={conn === 'online' ? 'sr-only' : ''}>{t(`conn.${conn}`)}</span>
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

/** What the telephony side said about the caller, already masked. */
function customerName(state: CallState): string | null {
  const { metadata, call } = state;
  const name = metadata.customer_name ?? metadata.customer ?? (call.ani || metadata.from || '');
  return spelt(name, state.secrets) || (ofPage(call.external_id) ? null : call.external_id) || null;
}

/** Calls from a page are named by the server, for nobody to read. */
function ofPage(externalId: string): boolean {
  return externalId.startsWith('browser-');
}

/** Tokens as their values where this feed has them, else as the kind of thing they stand for. */
function spelt(text: string, secrets: Readonly<Record<string, string>>): string {
  return text.replace(/【([^【】#]+)#\d+】/gu, (token, label: string) => secrets[token] ?? label);
}

/** Direction, the number that was dialled, the skill, the bank's number of the customer: what the telephone system knows beforehand. */
function CallFacts({ state }: { state: CallState }) {
  const t = useApp().t.value;
  const { call } = state;
  const facts: ['direction' | 'skill' | 'dnis' | 'customer_id', string][] = [
    ['direction', call.direction === 'outbound' ? t('call.direction.outbound') : ''],
    ['skill', call.skill],
    ['dnis', call.dnis],
    ['customer_id', spelt(call.customer_id, state.secrets)],
  ];
  return (
    <>
      {facts.map(
        ([name, value]) =>
          value !== '' && (
            <span key={name} class="dim" data-testid={`call-${name}`} title={t(`call.fact.${name}`)}>
              {' '}
              · {value}
            </span>
          ),
      )}
    </>
  );
}

function Degraded({ state }: { state: CallState }) {
  const t = useApp().t.value;
  const parts = Object.keys(state.down) as (keyof CallState['down'])[];
  if (parts.length === 0 || state.call.phase === 'ended') return null;
  return (
    <div class="degraded" role="status" data-testid="degraded" data-parts={parts.join(' ')}>
      <Icon name="info" size={14} />
      <span>{parts.map((part) => t(`degraded.${part}`)).join(' ')}</span>
    </div>
  );
}
