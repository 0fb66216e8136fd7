// The sidebar. Narrow: one column in reading order. Wide: help on the left, transcript on the right.
import type { ComponentChildren } from 'preact';
import { useCallback, useEffect, useRef, useState } from 'preact/hooks';
import { Artifacts } from '../artifacts/Artifacts.tsx';
import { Form } from '../artifacts/Form.tsx';
import type { CallState } from '../core/callstate.ts';
import type { Action } from '../core/keys.ts';
import { SearchDialog } from '../kb/Search.tsx';
import { STYLES } from '../net/api.ts';
import { useApp } from '../ui/app.ts';
import { HelpDialog } from '../ui/Help.tsx';
import { Icon } from '../ui/icons.tsx';
import { Shell } from '../ui/Shell.tsx';
import { jumpTo, Transcript } from '../ui/Transcript.tsx';
import { CallBar, CustomerCard } from './CallBar.tsx';
import type { AgentModel } from './model.ts';
import { Notes } from './Notes.tsx';
import { inFront, Strip, stripItems } from './Strip.tsx';
import { REASONS, type Rejecting, SuggestionArea } from './SuggestionCard.tsx';
import { ToolsDialog } from './ToolsDialog.tsx';
import { type Tool, toolsOf } from './tools.ts';
import { Checklist, Intents } from './Understanding.tsx';
import { useShortcuts } from './useShortcuts.ts';

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

/** Actions that open something to type into or to read. */
const TAKES_FOCUS: readonly Action[] = ['edit', 'search', 'tools', 'notes', 'help'];

export function Desk({ model, state, idle, lead, testid }: Props) {
  const app = useApp();
  const t = app.t.value;
  const keys = app.keys.value;
  const [now, setNow] = useState(Date.now());
  const [dialog, setDialog] = useState<'search' | 'tools' | 'help' | null>(null);
  const [editing, setEditing] = useState(false);
  const [rejecting, setRejecting] = useState<Rejecting>(null);
  const [noting, setNoting] = useState(false);
  const [tools, setTools] = useState<readonly Tool[]>([]);
  const [dismissed, setDismissed] = useState<ReadonlySet<number>>(new Set());

  useEffect(() => {
    model.start();
    const tick = setInterval(() => setNow(Date.now()), 1000);
    return () => {
      clearInterval(tick);
      model.stop();
    };
  }, [model]);

  // What can be asked is set up by the bank and seldom changes; without it, or while it cannot be read, there is no button.
  const language = app.language.value;
  useEffect(() => {
    toolsOf(app.api, language).then(setTools, () => setTools([]));
  }, [app, language]);

  const shownId = model.deck.value.shownId;
  const callId = state?.call.call_id ?? null;
  useEffect(() => setRejecting(null), [shownId]);
  useEffect(() => setDismissed(new Set()), [callId]);
  const phase = state?.call.phase ?? '';
  useEffect(() => app.host.value?.tell({ type: 'call', call_id: callId, phase }), [app, callId, phase]);
  const dismiss = useCallback((seq: number): void => setDismissed((before) => new Set([...before, seq])), []);

  // What a host page's chord opened gives the cursor back to that page when it is done.
  const borrowed = useRef(false);
  const open = dialog !== null || editing || noting;
  useEffect(() => {
    if (open || !borrowed.current) return;
    borrowed.current = false;
    app.host.value?.tell({ type: 'focus_back' });
  }, [app, open]);

  const run = (action: Action, fromHost: boolean): boolean => {
    const done = act(action, fromHost);
    if (fromHost && TAKES_FOCUS.includes(action)) {
      borrowed.current = done;
      if (!done) app.host.value?.tell({ type: 'focus_back' });
    }
    return done;
  };
  const act = (action: Action, fromHost: boolean): boolean => {
    const card = model.shownCard();
    const digit = { adopt1: 0, adopt2: 1, adopt3: 2 }[action as string];
    if (digit !== undefined) {
      if (card === null) return false;
      // While the reasons are open the digits pick one of them.
      if (rejecting !== null) {
        model.feedback(card, 'rejected', { reason: REASONS[digit] as string });
        setRejecting(null);
      } else model.adopt(card, digit);
      return true;
    }
    switch (action) {
      case 'edit':
        if (card === null || card.offer.kind === 'nothing' || state?.call.phase === 'ended') return false;
        setEditing(true);
        return true;
      case 'reject':
        if (card === null || state?.call.phase === 'ended') return false;
        setRejecting(rejecting === null ? (fromHost ? 'quietly' : 'focused') : null);
        return true;
      case 'next':
        return model.next();
      case 'style': {
        const style = STYLES[(STYLES.indexOf(app.preferences.value.style) + 1) % STYLES.length] ?? 'standard';
        void app.prefer({ style });
        app.say(t('style.now', { style: t(`style.${style}`) }));
        return true;
      }
      case 'search':
        setDialog('search');
        return true;
      case 'tools':
        if (tools.length === 0) return false;
        setDialog('tools');
        return true;
      case 'help':
        setDialog('help');
        return true;
      case 'notes':
        if (state === null) return false;
        setNoting(!noting);
        return true;
      case 'alert': {
        const shown = state === null ? null : inFront(stripItems(state), dismissed, now);
        if (shown === null) return false;
        dismiss(shown.seq);
        return true;
      }
      default:
        return false;
    }
  };
  useShortcuts(run);

  const ended = state?.call.phase === 'ended';
  const opener = (
    which: 'search' | 'tools' | 'help',
    label: string,
    icon: 'search' | 'table' | 'keyboard',
    wide: boolean,
  ) => (
    <button
      type="button"
      class={`quiet${wide ? ' wide-only' : ''}`}
      data-testid={`open-${which}`}
      title={`${label}  ${keys[which]}`}
      aria-label={label}
      aria-keyshortcuts={keys[which]}
      onClick={() => setDialog(which)}
    >
      <Icon name={icon} />
    </button>
  );
  return (
    <Shell
      extra={
        <>
          {opener('search', t('kb.search'), 'search', false)}
          {tools.length > 0 && opener('tools', t('tools.title'), 'table', false)}
          {opener('help', t('help.title'), 'keyboard', true)}
        </>
      }
    >
      <main id="main" class={`sidebar${ended ? ' after' : ''}`} data-testid={testid} data-call-id={callId ?? undefined}>
        {lead}
        <CallBar model={model} state={state} now={now} pills={state !== null || lead === undefined} />
        {state === null ? (
          idle
        ) : (
          <>
            <h1 class="sr-only">{t('app.tagline')}</h1>
            <div class="help-column">
              <CustomerCard state={state} />
              <Intents state={state} />
              {ended ? (
                <Artifacts
                  state={state}
                  artifacts={model.artifacts.value.get(state.call.call_id) ?? []}
                  onUtterance={jumpTo}
                  form={<Form key={callId} model={model.form(state.call.call_id)} state={state} onUtterance={jumpTo} />}
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
              <Strip state={state} now={now} dismissed={dismissed} dismiss={dismiss} shortcut={keys.alert} />
              <Checklist state={state} />
              <Notes
                key={callId}
                note={model.note(state.call.call_id)}
                open={noting}
                setOpen={setNoting}
                shortcut={keys.notes}
              />
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
      {dialog === 'tools' && <ToolsDialog tools={tools} onClose={() => setDialog(null)} />}
      {dialog === 'help' && <HelpDialog onClose={() => setDialog(null)} />}
    </Shell>
  );
}
