// One review: hear the call, see the machine's answers with their evidence, answer, hand in.
import { useCallback, useEffect, useMemo, useRef, useState } from 'preact/hooks';
import { moment, score } from '../core/format.ts';
import { type AnswerIn, QaApi, type Sheet, type Verdict } from '../net/qa.ts';
import { useApp } from '../ui/app.ts';
import { Icon } from '../ui/icons.tsx';
import { ErrorBox, Link, Shell, Skeleton } from '../ui/Shell.tsx';
import { Recorded, type RecordedHandle } from './Recorded.tsx';
import { ScoreSheet } from './ScoreSheet.tsx';

export function ReviewPage({ reviewId }: { reviewId: string }) {
  const app = useApp();
  const t = app.t.value;
  const qa = useMemo(() => new QaApi(app.api), [app]);
  const [sheet, setSheet] = useState<Sheet | null>(null);
  const [error, setError] = useState<unknown>(null);
  const [busy, setBusy] = useState(false);
  const recorded = useRef<RecordedHandle>(null);
  const load = useCallback(async (): Promise<void> => {
    setError(null);
    try {
      setSheet(await qa.sheet(reviewId));
    } catch (e) {
      setError(e);
    }
  }, [qa, reviewId]);
  useEffect(() => void load(), [load]);

  const act = async (what: () => Promise<unknown>): Promise<void> => {
    setBusy(true);
    try {
      await what();
      await load();
    } catch (e) {
      app.say(app.describe(e));
    } finally {
      setBusy(false);
    }
  };
  const review = sheet?.review;
  const mine = review?.assigned_to === app.session.value?.user.user_id;
  const open = review?.state === 'open' || review?.state === 'claimed';
  const blind = sheet !== null && sheet.machine === null;
  return (
    <Shell>
      <main id="main" class="call-page review-page" data-testid="review-page" data-state={review?.state}>
        <header class="page-head call-head">
          <Link to="/qa" class="back">
            <Icon name="left" size={14} />
            <span class="sr-only">{t('review.back')}</span>
          </Link>
          <h1>{t(blind ? 'review.title.blind' : 'review.title')}</h1>
          {review !== undefined && (
            <>
              <span class="chip static">{t(`review.kind.${review.kind}`)}</span>
              {review.plan !== '' && <span class="dim">{t('review.plan', { plan: review.plan })}</span>}
              <span class="dim">{t('review.agent', { name: review.agent_name || t('calls.noagent') })}</span>
              <span class="dim">{t('review.due', { at: moment(review.due_at, app.language.value, new Date()) })}</span>
              <span class="grow" />
              {!blind && <Link to={`/calls/${encodeURIComponent(review.call_id)}`}>{t('review.call')}</Link>}
              {review.state === 'open' && review.kind !== 'calibration' && (
                <button
                  type="button"
                  disabled={busy}
                  data-testid="claim"
                  onClick={() => void act(() => qa.claim(reviewId))}
                >
                  {t('review.claim')}
                </button>
              )}
              {review.state === 'claimed' && mine && review.kind !== 'calibration' && (
                <button
                  type="button"
                  class="quiet"
                  disabled={busy}
                  onClick={() => void act(() => qa.release(reviewId))}
                >
                  {t('review.release')}
                </button>
              )}
            </>
          )}
        </header>
        {error !== null && <ErrorBox error={error} onRetry={() => void load()} />}
        {sheet === null && error === null && <Skeleton lines={12} />}
        {sheet !== null && review !== undefined && (
          <div class="two review-two">
            <Recorded callId={review.call_id} handle={recorded} />
            <div class="side">
              {blind && <p class="note-line">{t('review.blind.note')}</p>}
              {review.state === 'claimed' && !mine && (
                <p class="note-line">{t('review.taken', { name: review.assigned_name })}</p>
              )}
              {open && (mine || review.state === 'open') && (
                <ScoreSheet
                  key={`${reviewId}-${sheet.qa_version}`}
                  card={sheet.questions}
                  blind={blind}
                  commentLabel={t('review.comment')}
                  submitLabel={t('review.submit')}
                  busy={busy}
                  onPlay={(e) => recorded.current?.play(e)}
                  onSubmit={(answers: AnswerIn[], comment) =>
                    void act(async () => {
                      await qa.submit(reviewId, sheet.qa_version, answers, comment);
                      app.say(t('review.done'));
                    })
                  }
                />
              )}
              <Verdicts verdicts={sheet.verdicts} />
            </div>
          </div>
        )}
      </main>
    </Shell>
  );
}

/** What people answered before, newest first. */
export function Verdicts({ verdicts }: { verdicts: readonly Verdict[] }) {
  const app = useApp();
  const t = app.t.value;
  const labels = app.labels.value.rubric_items;
  if (verdicts.length === 0) return null;
  return (
    <section class="panel verdicts" aria-label={t('review.history')}>
      <h2>{t('review.history')}</h2>
      <ol>
        {[...verdicts].reverse().map((v) => (
          <li key={v.number} data-testid="verdict" data-number={v.number}>
            <p>
              <strong>{v.reviewer_name}</strong> <span class="chip static">{t(`review.kind.${v.kind}`)}</span>{' '}
              <span class="num dim">{moment(v.at, app.language.value, new Date())}</span>{' '}
              <span class="num">
                {score(v.machine_score)} → <strong class={v.fatal ? 'bad' : undefined}>{score(v.score)}</strong>
              </span>
            </p>
            <ul>
              {Object.entries(v.answers)
                .filter(([, [machine, person]]) => machine !== person)
                .map(([name, [machine, person]]) => (
                  <li key={name} class="small-text">
                    {labels[name]?.name ?? name}：<span class="dim">{t(`qa.${machine}`)}</span> → {t(`qa.${person}`)}
                    {v.reasons[name] !== undefined && <span class="dim"> · {v.reasons[name]}</span>}
                  </li>
                ))}
            </ul>
            {v.comment !== '' && <p class="small-text">{v.comment}</p>}
          </li>
        ))}
      </ol>
    </section>
  );
}
