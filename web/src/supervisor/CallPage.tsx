// One call: recording, transcript, artifacts, and for operators where the time of every suggestion went.
import { useCallback, useEffect, useMemo, useRef, useState } from 'preact/hooks';
import { latestIntents } from '../agent/Understanding.tsx';
import { Artifacts } from '../artifacts/Artifacts.tsx';
import { Insights } from '../artifacts/Insights.tsx';
import { spokenAt } from '../core/audio.ts';
import type { CallState } from '../core/callstate.ts';
import { ownCards } from '../core/deck.ts';
import { clock, moment, percent } from '../core/format.ts';
import { ApiError, type Recording } from '../net/api.ts';
import { CallReview } from '../review/CallReview.tsx';
import { useApp } from '../ui/app.ts';
import { Icon } from '../ui/icons.tsx';
import { typing } from '../ui/keys.ts';
import { Rich } from '../ui/Rich.tsx';
import { ErrorBox, Link, Shell, Skeleton } from '../ui/Shell.tsx';
import { jumpTo, Transcript } from '../ui/Transcript.tsx';
import { agentName } from './CallRow.tsx';
import { CallModel } from './callmodel.ts';
import { Player, type PlayerHandle } from './Player.tsx';
import { Legend } from './Waves.tsx';

const NOTHING_RECORDED: Recording = { legs: [], copy: null, may_hear_original: false };

export function CallPage({ callId }: { callId: string }) {
  const app = useApp();
  const t = app.t.value;
  const model = useMemo(() => new CallModel(app, callId), [app, callId]);
  const player = useRef<PlayerHandle>(null);
  const [recording, setRecording] = useState<Recording | null>(null);
  const [heard, setHeard] = useState<string | null>(null);
  const [pointed, setPointed] = useState<string | null>(null);

  useEffect(() => {
    void model.start();
    return () => model.stop();
  }, [model]);

  const state = model.state.value;
  const error = model.error.value;
  const ended = state?.call.phase === 'ended';
  const copy = state?.artifacts.recording ?? 0;
  const redacted = state?.stale.length ?? 0;
  const readRecording = useCallback((): void => {
    app.api
      .recording(callId)
      .then(setRecording)
      .catch(() => setRecording((before) => before ?? NOTHING_RECORDED));
  }, [app, callId]);
  // A new copy, or one that must not be heard any more, is asked for again
  useEffect(() => {
    if (ended) readRecording();
  }, [readRecording, ended, copy, redacted]);
  const recorded = (recording?.legs.length ?? 0) > 0;

  useEffect(() => {
    const onKey = (e: KeyboardEvent): void => {
      if (e.key !== ' ' || e.ctrlKey || e.metaKey || e.altKey || typing(e.target)) return;
      if (e.target instanceof HTMLElement && /^(BUTTON|A|SUMMARY)$/.test(e.target.tagName)) return;
      e.preventDefault();
      player.current?.toggle();
    };
    document.addEventListener('keydown', onKey);
    return () => document.removeEventListener('keydown', onKey);
  }, []);

  const utterances = state?.utterances ?? [];
  const onTime = useCallback(
    (ms: number, playing: boolean): void => {
      const now = spokenAt(utterances, ms);
      setHeard((before) => (now === null && playing ? before : now));
      if (playing) setPointed(null);
    },
    [utterances],
  );
  // An address may name a sentence: it is shown once the transcript is there.
  const named = new URLSearchParams(app.query.value).get('at');
  const there = named !== null && utterances.some((u) => u.utterance_id === named);
  useEffect(() => {
    if (named === null || !there) return;
    setPointed(named);
    const waiting = setTimeout(() => jumpTo(named), 50);
    return () => clearTimeout(waiting);
  }, [named, there]);
  // The recording stands there.
  const namedMs = utterances.find((u) => u.utterance_id === named)?.start_ms;
  useEffect(() => {
    if (namedMs !== undefined && recorded) player.current?.seek(namedMs);
  }, [namedMs, recorded]);
  const showUtterance = (id: string): void => {
    setPointed(id);
    jumpTo(id);
  };

  if (error !== null && state === null) {
    const missing = error instanceof ApiError && error.status === 404;
    return (
      <Shell>
        <main id="main" class="call-page">
          <Link to="/calls">{t('page.back')}</Link>
          {missing ? (
            <p class="empty big-empty" role="alert">
              {t('error.notfound')}
            </p>
          ) : (
            <ErrorBox error={error} onRetry={() => void model.start()} />
          )}
        </main>
      </Shell>
    );
  }
  return (
    <Shell>
      <main id="main" class="call-page" data-testid="call-page" data-call-id={callId}>
        {state === null ? <Skeleton lines={10} /> : <Head state={state} />}
        {state !== null && (
          <>
            {ended && recording !== null && recorded && (
              <div class="player-card">
                <Player
                  handle={player}
                  callId={callId}
                  recording={recording}
                  state={state}
                  onTime={onTime}
                  onLost={readRecording}
                  onRerun={() => void model.rerun('recording')}
                />
                <Legend />
              </div>
            )}
            {ended && recording !== null && !recorded && <p class="empty">{t('page.audio.none')}</p>}
            {!ended && <p class="empty">{t('page.audio.live')}</p>}
            <div class="two">
              <section class="talk-column" aria-label={t('page.transcript')}>
                <header class="talk-head">
                  <h2>{t('page.transcript')}</h2>
                </header>
                <Transcript
                  state={state}
                  active={pointed ?? heard}
                  follow={ended ? 'active' : 'end'}
                  {...(ended && recorded ? { onSeek: (u) => player.current?.play(u.start_ms) } : {})}
                />
              </section>
              <div class="side">
                {ended ? (
                  <Artifacts
                    state={state}
                    artifacts={model.artifacts.value}
                    onUtterance={showUtterance}
                    {...(recorded
                      ? {
                          onPlay: (e) => {
                            showUtterance(e.utterance_id);
                            player.current?.play(e.start_ms, e.end_ms, e.channel === 'mixed' ? 'both' : e.channel);
                          },
                        }
                      : {})}
                    onRerun={(kind) => void model.rerun(kind)}
                  />
                ) : null}
                {ended && <Insights state={state} artifacts={model.artifacts.value} onUtterance={showUtterance} />}
                {ended && <CallReview callId={callId} artifact={model.artifacts.value.find((a) => a.kind === 'qa')} />}
                <SuggestionLog state={state} />
              </div>
            </div>
          </>
        )}
      </main>
    </Shell>
  );
}

function Head({ state }: { state: CallState }) {
  const app = useApp();
  const t = app.t.value;
  const { call } = state;
  const alerts = state.alerts.length;
  return (
    <header class="page-head call-head">
      <Link to="/calls" class="back">
        <Icon name="left" size={14} />
        <span class="sr-only">{t('page.back')}</span>
      </Link>
      <h1 class="num">{moment(call.started_at, app.language.value, new Date()) || call.call_id}</h1>
      <span class={`phase ${call.phase}`} data-testid="call-phase" data-phase={call.phase}>
        <i aria-hidden="true" /> {t(`call.${call.phase}`)}
      </span>
      <span class="num">{clock(call.duration_ms)}</span>
      <span class="dim">
        {t('channel.agent')} {agentName(call, t('calls.noagent'))}
      </span>
      {call.end_reason !== '' && <span class="dim">{app.word(`call.end.${call.end_reason}`, call.end_reason)}</span>}
      <span class="chips">
        {latestIntents(state)
          .reverse()
          .map((i) => (
            <span key={i.intent} class="chip static">
              {app.intentName(i.intent)} <span class="num dim">{percent(i.confidence)}</span>
            </span>
          ))}
      </span>
      {alerts > 0 && (
        <span class="alert-count">
          <Icon name="alert" size={14} /> {alerts}
        </span>
      )}
      <code class="dim call-id">{call.call_id}</code>
    </header>
  );
}

const STAGES = ['asr_endpoint', 'asr_queue', 'asr_decode', 'mask', 'store', 'intent', 'retrieve', 'suggest'];

function SuggestionLog({ state }: { state: CallState }) {
  const app = useApp();
  const t = app.t.value;
  const cards = ownCards(state.cards);
  const present = new Set(cards.flatMap((c) => c.offer.stages.map((s) => s.name)));
  const stages = [...STAGES.filter((s) => present.has(s)), ...[...present].filter((s) => !STAGES.includes(s))];
  return (
    <details class="sug-log" data-testid="suggestion-log">
      <summary>
        {t('page.suggestions')} <span class="badge num">{cards.length}</span>
      </summary>
      {cards.length === 0 ? (
        <p class="empty">{t('page.suggestions.none')}</p>
      ) : (
        <>
          <ol>
            {cards.map((c) => (
              <li key={c.offer.suggestion_id} data-suggestion-id={c.offer.suggestion_id}>
                <p>
                  <span class="num dim">{clock(c.offer.at_ms)}</span>{' '}
                  <strong>{c.offer.title || t('sug.kind.nothing')}</strong>{' '}
                  <span class="dim">
                    {c.feedback.length === 0
                      ? t('feedback.none')
                      : c.feedback.map((a) => t(`feedback.${a}`)).join('、')}
                  </span>
                </p>
                <p class="dim">
                  <Rich text={c.offer.text} />
                </p>
              </li>
            ))}
          </ol>
          <div class="table-wrap">
            <table class="stages">
              <thead>
                <tr>
                  <th scope="col">{t('page.stage')} (ms)</th>
                  {stages.map((s) => (
                    <th key={s} scope="col" class="right">
                      {app.word(`stage.${s}`, s)}
                    </th>
                  ))}
                  <th scope="col" class="right">
                    {t('page.total')}
                  </th>
                </tr>
              </thead>
              <tbody>
                {cards.map((c) => (
                  <tr key={c.offer.suggestion_id}>
                    <th scope="row" class="num">
                      {clock(c.offer.at_ms)}
                    </th>
                    {stages.map((s) => {
                      const stage = c.offer.stages.find((x) => x.name === s);
                      return (
                        <td key={s} class="num right">
                          {stage === undefined ? '–' : Math.round(stage.ms)}
                        </td>
                      );
                    })}
                    <td class="num right">
                      <strong>{Math.round(c.offer.total_ms)}</strong>
                    </td>
                  </tr>
                ))}
              </tbody>
            </table>
          </div>
        </>
      )}
    </details>
  );
}
