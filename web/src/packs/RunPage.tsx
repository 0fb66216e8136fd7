// The result of a dry run: what would change by question, category, rule or step, agreement with people, and the calls with their words.
import { useCallback, useEffect, useMemo, useState } from 'preact/hooks';
import { clock, moment, score } from '../core/format.ts';
import { type Change, type ChangedCall, type DryRun, PacksApi, type RunResult, type Stake } from '../net/packs.ts';
import { useLoaded } from '../review/QueuePage.tsx';
import { type App, useApp } from '../ui/app.ts';
import { Icon } from '../ui/icons.tsx';
import { ErrorBox, Link, Shell, Skeleton } from '../ui/Shell.tsx';
import { packPath } from './PacksPage.tsx';
import { Chosen, isOpen } from './Runs.tsx';
import { AgreementChange, Lines, LiveAgainstAfter } from './tables.tsx';

const AGAIN_MS = 1000;

/** The name of what is judged, in the words of the pack in force; its id where that does not know it. */
export function nameOf(app: App, pack: string, key: string): string {
  const labels = app.labels.value;
  if (pack === 'rubric') return labels.rubric_items[key]?.name ?? key;
  if (pack === 'compliance') return labels.compliance_rules[key]?.name ?? key;
  const [first = '', second] = key.split('/');
  if (pack === 'sop') {
    const list = labels.checklists.find((one) => one.id === first);
    return `${list?.name ?? first} › ${list?.steps.find((one) => one.id === second)?.name ?? second}`;
  }
  const what = app.word(`packs.key.${first}`, first);
  return second === undefined ? what : `${what} › ${app.categoryName(second)}`;
}

/** An answer as people read it. */
export function answerOf(app: App, pack: string, key: string, answer: string | null): string {
  if (answer === null) return app.t.value('packs.gone');
  if (pack === 'rubric') return app.word(`qa.${answer}`, answer);
  if (pack === 'sop') return app.word(`packs.answer.${answer}`, answer);
  if (pack === 'taxonomy') return answer === '' ? '–' : key === 'cause' ? answer : app.categoryName(answer);
  return app.t.value('packs.alerts', { n: answer });
}

function stakeOf(app: App, stake: Stake | undefined): string {
  if (stake === undefined) return '';
  const t = app.t.value;
  const parts = [t('packs.weight', { n: stake.weight })];
  if (stake.deduction > 0) parts.push(t('packs.deduction', { n: stake.deduction }));
  if (stake.fatal) parts.push(t('packs.fatal'));
  return ` (${parts.join(', ')})`;
}

export function RunPage({ pack, runId }: { pack: string; runId: string }) {
  const app = useApp();
  const t = app.t.value;
  const api = useMemo(() => new PacksApi(app.api), [app]);
  const { value, error, again } = useLoaded(useCallback(() => api.run(runId), [api, runId]));
  const open = value !== null && isOpen(value);
  useEffect(() => {
    if (!open) return;
    const timer = setInterval(again, AGAIN_MS);
    return () => clearInterval(timer);
  }, [open, again]);
  return (
    <Shell>
      <main id="main" class="calls packs" data-testid="run-page" data-state={value?.state}>
        <header class="page-head">
          <Link to={packPath(pack, value === null ? '' : `?v=${value.version}&tab=runs`)} class="back">
            <Icon name="left" size={14} />
            <span class="sr-only">{t('packs.run.back')}</span>
          </Link>
          <h1>{t('packs.run.of', { name: t(`packs.name.${pack}` as 'packs.name.rubric') })}</h1>
          {value !== null && (
            <span class="dim">
              {t('packs.run.against', { n: value.version, base: value.base_version })} ·{' '}
              <Chosen choice={value.choice} /> · {moment(value.created_at, app.language.value, new Date())}
            </span>
          )}
        </header>
        {error !== null && value === null && <ErrorBox error={error} onRetry={again} />}
        {value === null && error === null && <Skeleton lines={10} />}
        {value !== null && open && <Progress api={api} run={value} onCancelled={again} />}
        {value?.state === 'cancelled' && <p class="empty big-empty">{t('packs.run.state.cancelled')}</p>}
        {value?.state === 'failed' && (
          <p class="error-box" role="alert">
            {value.error}
          </p>
        )}
        {value?.result && <Result api={api} run={value} result={value.result} />}
      </main>
    </Shell>
  );
}

function Progress({ api, run, onCancelled }: { api: PacksApi; run: DryRun; onCancelled: () => void }) {
  const app = useApp();
  const t = app.t.value;
  const cancel = async (): Promise<void> => {
    try {
      await api.cancel(run.run_id);
    } catch (e) {
      app.say(app.describe(e));
    }
    onCancelled();
  };
  return (
    <section class="panel run-progress" data-testid="run-progress">
      <p role="status">
        {t(`packs.run.state.${run.state}`)}{' '}
        {run.total > 0 && <span class="num">{t('packs.run.of_calls', { done: run.done, total: run.total })}</span>}
      </p>
      <progress max={Math.max(1, run.total)} value={run.done} aria-label={t('packs.run.progress')} />
      <button type="button" data-testid="run-cancel" onClick={() => void cancel()}>
        {t('packs.run.cancel')}
      </button>
    </section>
  );
}

function Result({ api, run, result }: { api: PacksApi; run: DryRun; result: RunResult }) {
  const app = useApp();
  const t = app.t.value;
  const key = new URLSearchParams(app.query.value).get('key') ?? '';
  const same = run.version === run.base_version;
  return (
    <>
      <div class="counts" data-testid="run-counts">
        <p class="figure">
          <strong class="num">{result.calls}</strong> <span class="dim">{t('packs.run.judged')}</span>
        </p>
        {!same && (
          <p class="figure">
            <strong class="num">{result.changed}</strong> <span class="dim">{t('packs.run.changed')}</span>
          </p>
        )}
        {result.skipped > 0 && (
          <p class="figure">
            <strong class="num">{result.skipped}</strong> <span class="dim">{t('packs.run.skipped')}</span>
          </p>
        )}
        {result.score !== null && (
          <p class="figure">
            <strong class="num">
              {score(result.score.before)} → {score(result.score.after)}
            </strong>{' '}
            <span class="dim">{t('packs.run.score', { lower: result.score.lower, higher: result.score.higher })}</span>
          </p>
        )}
      </div>
      {result.calls === 0 && <p class="empty big-empty">{t('packs.run.nocalls')}</p>}
      {!same && result.calls > 0 && <Lines pack={run.pack} runId={run.run_id} lines={result.lines} chosen={key} />}
      {result.agreement !== null && <AgreementChange pack={run.pack} agreement={result.agreement} />}
      {result.live !== null && <LiveAgainstAfter lines={result.live} />}
      {result.changed > 0 && <ChangedCalls key={key} api={api} run={run} only={key} />}
    </>
  );
}

function ChangedCalls({ api, run, only }: { api: PacksApi; run: DryRun; only: string }) {
  const app = useApp();
  const t = app.t.value;
  const [more, setMore] = useState<ChangedCall[]>([]);
  const [next, setNext] = useState<number | null>(null);
  const { value, error, again } = useLoaded(
    useCallback(() => api.changed(run.run_id, only || undefined, -1), [api, run.run_id, only]),
  );
  useEffect(() => {
    setMore([]);
    setNext(value?.next ?? null);
  }, [value]);
  const onMore = async (): Promise<void> => {
    if (next === null) return;
    try {
      const page = await api.changed(run.run_id, only || undefined, next);
      setMore((before) => [...before, ...page.calls]);
      setNext(page.next);
    } catch (e) {
      app.say(app.describe(e));
    }
  };
  return (
    <section data-testid="changed-calls">
      <h2>
        {only === '' ? t('packs.calls') : t('packs.calls.only', { name: nameOf(app, run.pack, only) })}{' '}
        {only !== '' && <Link to={`/packs/${run.pack}/runs/${run.run_id}`}>{t('packs.calls.all')}</Link>}
      </h2>
      {error !== null && value === null && <ErrorBox error={error} onRetry={again} />}
      {value === null && error === null && <Skeleton lines={6} />}
      <ul class="changed-calls">
        {[...(value?.calls ?? []), ...more].map((call) => (
          <OneCall key={call.number} pack={run.pack} call={call} only={only} />
        ))}
      </ul>
      {next !== null && (
        <p class="more">
          <button type="button" onClick={() => void onMore()}>
            {t('packs.calls.more')}
          </button>
        </p>
      )}
    </section>
  );
}

function OneCall({ pack, call, only }: { pack: string; call: ChangedCall; only: string }) {
  const app = useApp();
  const changes = call.changes.filter(
    (one) =>
      only === '' || one.key === only || [one.before, one.after].some((answer) => `${one.key}/${answer}` === only),
  );
  return (
    <li class="panel" data-testid="changed-call">
      <p>
        <Link to={`/calls/${encodeURIComponent(call.call_id)}`} class="row-link">
          {moment(call.started_at, app.language.value, new Date()) || call.call_id}
        </Link>{' '}
        <span class="dim">{call.agent_name}</span>{' '}
        {call.before_score !== null && call.after_score !== null && (
          <strong class="num">
            {score(call.before_score)} → {score(call.after_score)}
          </strong>
        )}
      </p>
      <ul class="changes">
        {changes.map((one) => (
          <OneChange key={one.key} pack={pack} change={one} call={call} />
        ))}
      </ul>
    </li>
  );
}

function OneChange({ pack, change, call }: { pack: string; change: Change; call: ChangedCall }) {
  const app = useApp();
  const places = [...new Set([...change.before_evidence, ...change.after_evidence])];
  return (
    <li>
      {nameOf(app, pack, change.key)}
      {app.language.value === 'zh' ? '：' : ': '}
      <del>{answerOf(app, pack, change.key, change.before) + stakeOf(app, change.before_stake)}</del>{' '}
      <span aria-hidden="true">→</span>{' '}
      <ins>{answerOf(app, pack, change.key, change.after) + stakeOf(app, change.after_stake)}</ins>
      {places.map((place) => {
        const said = call.words[place];
        return (
          said !== undefined && (
            <blockquote key={place}>
              <span class="num dim">{clock(said.start_ms)}</span>{' '}
              <span class="dim">{app.word(`channel.${said.channel}`, said.channel)}</span> {said.text}
            </blockquote>
          )
        );
      })}
    </li>
  );
}
