// An appeal: what it is about, its history, and the step that is the reader's to take.
import { useCallback, useMemo, useRef, useState } from 'preact/hooks';
import { moment, score } from '../core/format.ts';
import type { QaScorecard } from '../gen/types.ts';
import { type Appeal, type AppealAction, type AppealStep, QaApi } from '../net/qa.ts';
import { useApp } from '../ui/app.ts';
import { Icon } from '../ui/icons.tsx';
import { ErrorBox, Link, Shell, Skeleton } from '../ui/Shell.tsx';
import { useLoaded } from './QueuePage.tsx';
import { Recorded, type RecordedHandle } from './Recorded.tsx';
import { ScoreSheet } from './ScoreSheet.tsx';

export function AppealPage({ appealId }: { appealId: string }) {
  const app = useApp();
  const t = app.t.value;
  const qa = useMemo(() => new QaApi(app.api), [app]);
  const { value, error, again } = useLoaded(useCallback(() => qa.appeal(appealId), [qa, appealId]));
  const recorded = useRef<RecordedHandle>(null);
  const [busy, setBusy] = useState(false);
  const act = async (what: () => Promise<unknown>): Promise<void> => {
    setBusy(true);
    try {
      await what();
      app.say(t('appeal.saved'));
    } catch (e) {
      app.say(app.describe(e));
    } finally {
      setBusy(false);
      again();
    }
  };
  const appeal = value?.appeal;
  return (
    <Shell>
      <main id="main" class="call-page review-page" data-testid="appeal-page" data-state={appeal?.state}>
        <header class="page-head call-head">
          <Link to="/qa?tab=appeals" class="back">
            <Icon name="left" size={14} />
            <span class="sr-only">{t('review.back')}</span>
          </Link>
          <h1>{t('appeal.title')}</h1>
          {appeal !== undefined && (
            <>
              <span class="chip static">{t(`appeal.state.${appeal.state}`)}</span>
              <span class="dim">{t('review.agent', { name: appeal.agent_name })}</span>
              {appeal.due_at !== null && (
                <span class={new Date(appeal.due_at) <= new Date() ? 'bad' : 'dim'}>
                  {t('review.due', { at: moment(appeal.due_at, app.language.value, new Date()) })}
                </span>
              )}
              <span class="grow" />
              <Link to={`/calls/${encodeURIComponent(appeal.call_id)}`}>{t('review.call')}</Link>
            </>
          )}
        </header>
        {error !== null && value === null && <ErrorBox error={error} onRetry={again} />}
        {value === null && error === null && <Skeleton lines={10} />}
        {value !== null && appeal !== undefined && (
          <div class="two review-two">
            <Recorded callId={appeal.call_id} handle={recorded} />
            <div class="side">
              <Steps appeal={appeal} steps={value.steps} />
              {value.actions.includes('decide') ? (
                <Decide qa={qa} appeal={appeal} busy={busy} recorded={recorded} act={act} />
              ) : (
                <Step qa={qa} appeal={appeal} actions={value.actions} busy={busy} act={act} />
              )}
            </div>
          </div>
        )}
      </main>
    </Shell>
  );
}

type Act = (what: () => Promise<unknown>) => Promise<void>;

function Steps({ appeal, steps }: { appeal: Appeal; steps: readonly AppealStep[] }) {
  const app = useApp();
  const t = app.t.value;
  const labels = app.labels.value.rubric_items;
  return (
    <section class="panel" aria-label={t('appeal.history')}>
      <h2>{t('appeal.about')}</h2>
      <p>
        {appeal.items.map((name) => (
          <span key={name} class="chip static">
            {labels[name]?.name ?? name}
          </span>
        ))}
      </p>
      <p>
        {t('appeal.score')} <strong class="num">{score(appeal.score)}</strong>
        {appeal.new_score !== null && (
          <>
            {' '}
            → <strong class="num">{score(appeal.new_score)}</strong>
          </>
        )}
      </p>
      <h2>{t('appeal.history')}</h2>
      <ol class="history-steps">
        {steps.map((s) => (
          <li key={s.seq} data-testid="appeal-step" data-action={s.action}>
            <p>
              <strong>{t(`appeal.did.${s.action}`)}</strong>{' '}
              <span class="dim">
                {s.actor_name || t('appeal.clock')} · {moment(s.at, app.language.value, new Date())}
              </span>
            </p>
            {s.note !== '' && <p class="small-text">{s.note}</p>}
          </li>
        ))}
      </ol>
    </section>
  );
}

function Step({
  qa,
  appeal,
  actions,
  busy,
  act,
}: {
  qa: QaApi;
  appeal: Appeal;
  actions: readonly AppealAction[];
  busy: boolean;
  act: Act;
}) {
  const app = useApp();
  const t = app.t.value;
  const [note, setNote] = useState('');
  const [assignee, setAssignee] = useState('');
  const { value } = useLoaded(useCallback(() => qa.inspectors(), [qa]));
  const mine = actions.filter((a) => a !== 'decide' && a !== 'escalate');
  if (mine.length === 0) return null;
  return (
    <section class="panel appeal-step" data-testid="appeal-actions">
      <h2>{t('appeal.yours')}</h2>
      {mine.includes('assign') && (
        <label>
          {t('appeal.assignee')}
          <select value={assignee} data-testid="appeal-assignee" onChange={(e) => setAssignee(e.currentTarget.value)}>
            <option value="">{t('appeal.choose')}</option>
            {value?.inspectors.map((p) => (
              <option key={p.user_id} value={p.user_id}>
                {p.name}
              </option>
            ))}
          </select>
        </label>
      )}
      <label>
        {t('appeal.note')}
        <textarea rows={2} value={note} data-testid="appeal-note" onInput={(e) => setNote(e.currentTarget.value)} />
      </label>
      <p class="buttons">
        {mine.map((action) => (
          <button
            key={action}
            type="button"
            class={action === 'forward' || action === 'assign' ? 'primary' : undefined}
            disabled={busy || (action === 'dismiss' && note.trim() === '') || (action === 'assign' && assignee === '')}
            data-testid={`appeal-${action}`}
            onClick={() =>
              void act(() => qa.step(appeal.appeal_id, action, note, action === 'assign' ? assignee : undefined))
            }
          >
            {t(`appeal.do.${action}`)}
          </button>
        ))}
      </p>
    </section>
  );
}

function Decide({
  qa,
  appeal,
  busy,
  recorded,
  act,
}: {
  qa: QaApi;
  appeal: Appeal;
  busy: boolean;
  recorded: { current: RecordedHandle | null };
  act: Act;
}) {
  const app = useApp();
  const t = app.t.value;
  const { value, error, again } = useLoaded(
    useCallback(() => app.api.artifacts(appeal.call_id), [app, appeal.call_id]),
  );
  const found = value?.artifacts.find((a) => a.kind === 'qa');
  if (error !== null && value === null) return <ErrorBox error={error} onRetry={again} />;
  if (found === undefined) return <Skeleton lines={6} />;
  return (
    <ScoreSheet
      card={found.body as QaScorecard}
      blind={false}
      marked={appeal.items}
      commentLabel={t('appeal.reasons')}
      commentNeeded
      submitLabel={t('appeal.decide')}
      busy={busy}
      onPlay={(e) => recorded.current?.play(e)}
      onSubmit={(answers, comment) => void act(() => qa.decide(appeal.appeal_id, found.version, answers, comment))}
    />
  );
}
