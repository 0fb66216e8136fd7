// After-call work as a list: what is under way, what came to nothing (dead letters), and what was decided about those.
import { useCallback, useEffect, useState } from 'preact/hooks';
import { moment } from '../core/format.ts';
import type { JobLine, JobState } from '../net/api.ts';
import { useApp } from '../ui/app.ts';
import { Dialog } from '../ui/Dialog.tsx';
import { ErrorBox, Link, Shell, Skeleton } from '../ui/Shell.tsx';

type View = 'failed' | 'open' | 'discarded';
const VIEWS: readonly View[] = ['failed', 'open', 'discarded'];
const PAGE = 50;
const REFRESH_MS = 5000;

export function JobsPage() {
  const app = useApp();
  const t = app.t.value;
  const [view, setView] = useState<View>('failed');
  const [jobs, setJobs] = useState<JobLine[] | null>(null);
  const [counts, setCounts] = useState<Record<JobState, number> | null>(null);
  const [cursor, setCursor] = useState<string | null>(null);
  const [error, setError] = useState<unknown>(null);
  const [busy, setBusy] = useState(false);
  const [chosen, setChosen] = useState<ReadonlySet<string>>(new Set());
  const [discarding, setDiscarding] = useState<readonly string[] | null>(null);

  const load = useCallback(
    async (which: View, from: string | null, quiet = false): Promise<void> => {
      if (!quiet) setBusy(true);
      try {
        const page = await app.api.jobs({ state: which, limit: PAGE, ...(from === null ? {} : { cursor: from }) });
        setJobs((before) => (from === null ? page.jobs : [...(before ?? []), ...page.jobs]));
        setCounts(page.counts);
        setCursor(page.next_cursor);
        setError(null);
      } catch (e) {
        if (!quiet) setError(e);
      } finally {
        if (!quiet) setBusy(false);
      }
    },
    [app],
  );

  useEffect(() => {
    setJobs(null);
    setChosen(new Set());
    void load(view, null);
  }, [view, load]);

  useEffect(() => {
    const timer = setInterval(() => {
      if (!document.hidden && (jobs?.length ?? 0) <= PAGE && discarding === null) void load(view, null, true);
    }, REFRESH_MS);
    return () => clearInterval(timer);
  }, [view, load, jobs?.length, discarding]);

  const act = async (ids: readonly string[], what: 'run' | 'discard'): Promise<void> => {
    setBusy(true);
    let done = 0;
    let failure: unknown = null;
    for (const id of ids) {
      try {
        await (what === 'run' ? app.api.runJob(id) : app.api.discardJob(id));
        done += 1;
      } catch (e) {
        failure = e;
      }
    }
    setChosen(new Set());
    setDiscarding(null);
    if (failure !== null) app.say(app.describe(failure));
    else app.say(t(what === 'run' ? 'jobs.run.done' : 'jobs.discard.done', { n: done }));
    await load(view, null);
  };

  const toggle = (id: string): void => {
    const next = new Set(chosen);
    if (!next.delete(id)) next.add(id);
    setChosen(next);
  };
  const shown = jobs ?? [];
  const picked = shown.map((j) => j.job_id).filter((id) => chosen.has(id));
  const selectable = view !== 'open';
  return (
    <Shell>
      <main id="main" class="calls jobs" data-testid="jobs-page">
        <header class="page-head">
          <h1>{t('jobs.title')}</h1>
          <fieldset class="segmented">
            <legend class="sr-only">{t('calls.filter')}</legend>
            {VIEWS.map((v) => (
              <button
                key={v}
                type="button"
                aria-pressed={view === v}
                data-testid={`jobs-${v}`}
                onClick={() => setView(v)}
              >
                {t(`jobs.view.${v}`)}
                {counts !== null && (
                  <span class="badge num"> {v === 'open' ? counts.queued + counts.leased : counts[v]}</span>
                )}
              </button>
            ))}
          </fieldset>
          <span class="grow" />
          {selectable && (
            <>
              <button
                type="button"
                disabled={busy || picked.length === 0}
                data-testid="jobs-run"
                onClick={() => void act(picked, 'run')}
              >
                {t('jobs.run')}
              </button>
              {view === 'failed' && (
                <button
                  type="button"
                  class="quiet"
                  disabled={busy || picked.length === 0}
                  data-testid="jobs-discard"
                  onClick={() => setDiscarding(picked)}
                >
                  {t('jobs.discard')}
                </button>
              )}
            </>
          )}
        </header>
        <p class="dim">{t(`jobs.about.${view}`)}</p>
        {error !== null && <ErrorBox error={error} onRetry={() => void load(view, null)} />}
        {jobs === null && error === null && <Skeleton lines={6} />}
        {jobs !== null && jobs.length === 0 && (
          <p class="empty big-empty" data-testid="jobs-empty">
            {t(`jobs.empty.${view}`)}
          </p>
        )}
        {shown.length > 0 && (
          <div class="table-wrap">
            <table>
              <thead>
                <tr>
                  {selectable && (
                    <th scope="col">
                      <input
                        type="checkbox"
                        aria-label={t('jobs.all')}
                        data-testid="jobs-all"
                        checked={picked.length === shown.length}
                        onChange={() =>
                          setChosen(picked.length === shown.length ? new Set() : new Set(shown.map((j) => j.job_id)))
                        }
                      />
                    </th>
                  )}
                  <th scope="col">{t('jobs.col.queued')}</th>
                  <th scope="col">{t('jobs.col.kind')}</th>
                  <th scope="col">{t('jobs.col.call')}</th>
                  <th scope="col">{t('jobs.col.state')}</th>
                  <th scope="col" class="right">
                    {t('jobs.col.attempts')}
                  </th>
                  <th scope="col">{t('jobs.col.reason')}</th>
                </tr>
              </thead>
              <tbody>
                {shown.map((job) => (
                  <Row
                    key={job.job_id}
                    job={job}
                    {...(selectable ? { chosen: chosen.has(job.job_id), onToggle: toggle } : {})}
                  />
                ))}
              </tbody>
            </table>
          </div>
        )}
        {cursor !== null && (
          <p class="more">
            <button type="button" disabled={busy} onClick={() => void load(view, cursor)}>
              {t(busy ? 'common.loading' : 'calls.more')}
            </button>
          </p>
        )}
      </main>
      {discarding !== null && (
        <Dialog title={t('jobs.discard')} testid="discard-dialog" onClose={() => setDiscarding(null)}>
          <p>{t('jobs.discard.sure', { n: discarding.length })}</p>
          <p class="dialog-actions">
            <button type="button" onClick={() => setDiscarding(null)}>
              {t('common.cancel')}
            </button>
            <button
              type="button"
              class="primary"
              data-testid="discard-confirm"
              onClick={() => void act(discarding, 'discard')}
            >
              {t('jobs.discard')}
            </button>
          </p>
        </Dialog>
      )}
    </Shell>
  );
}

function Row({ job, chosen, onToggle }: { job: JobLine; chosen?: boolean; onToggle?: (id: string) => void }) {
  const app = useApp();
  const t = app.t.value;
  const now = new Date();
  const at = (iso: string | null): string => moment(iso, app.language.value, now);
  const waiting = job.state === 'queued' && new Date(job.not_before) > now;
  const running = job.state === 'leased' && job.begun_at !== null;
  const state = waiting
    ? t('jobs.state.again', { at: at(job.not_before) })
    : t(running ? 'jobs.state.running' : `jobs.state.${job.state}`);
  return (
    <tr data-testid="job-row" data-job-id={job.job_id} data-state={job.state}>
      {onToggle !== undefined && (
        <td>
          <input
            type="checkbox"
            aria-label={`${t(`artifact.${job.kind}`)} ${at(job.created_at)}`}
            checked={chosen ?? false}
            onChange={() => onToggle(job.job_id)}
          />
        </td>
      )}
      <td class="num">{at(job.created_at)}</td>
      <td>
        {t(`artifact.${job.kind}`)}
        {job.background && <span class="chip static">{t('jobs.background')}</span>}
      </td>
      <td>
        <Link to={`/calls/${encodeURIComponent(job.call_id)}`} class="row-link">
          {job.call_id.length > 14 ? `${job.call_id.slice(0, 12)}…` : job.call_id}
        </Link>
      </td>
      <td>{state}</td>
      <td class="num right">
        {job.attempts}
        {job.losses > 0 && <span class="dim"> ({t('jobs.losses', { n: job.losses })})</span>}
      </td>
      <td class="wrap">{job.error}</td>
    </tr>
  );
}
