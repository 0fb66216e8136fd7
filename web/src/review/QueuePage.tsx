// Quality review at a glance: what waits, appeals, calibrations, and how far people and machine agree.
import { useCallback, useEffect, useMemo, useRef, useState } from 'preact/hooks';
import { moment, score } from '../core/format.ts';
import { type Agreement, type Appeal, QaApi, type Review, type Session } from '../net/qa.ts';
import { useApp } from '../ui/app.ts';
import { typing } from '../ui/keys.ts';
import { ErrorBox, Link, Shell, Skeleton } from '../ui/Shell.tsx';
import { NewCalibration } from './NewCalibration.tsx';

const TABS = ['queue', 'appeals', 'calibrations', 'agreement'] as const;
type Tab = (typeof TABS)[number];

export function QueuePage() {
  const app = useApp();
  const t = app.t.value;
  const asked = new URLSearchParams(app.query.value).get('tab');
  const tab: Tab = TABS.find((name) => name === asked) ?? 'queue';
  const qa = useMemo(() => new QaApi(app.api), [app]);
  return (
    <Shell>
      <main id="main" class="calls" data-testid="qa-page">
        <header class="page-head">
          <h1>{t('review.page')}</h1>
          <nav class="segmented" aria-label={t('review.page')}>
            {TABS.map((name) => (
              <Link key={name} to={name === 'queue' ? '/qa' : `/qa?tab=${name}`} class="segment" current={name === tab}>
                {t(`review.tab.${name}`)}
              </Link>
            ))}
          </nav>
        </header>
        {tab === 'queue' && <Queue qa={qa} />}
        {tab === 'appeals' && <Appeals qa={qa} />}
        {tab === 'calibrations' && <Calibrations qa={qa} />}
        {tab === 'agreement' && <AgreementView qa={qa} />}
      </main>
    </Shell>
  );
}

/** Reads once, again on demand; what was read before stays while the next is on its way. */
export function useLoaded<T>(read: () => Promise<T>): { value: T | null; error: unknown; again: () => void } {
  const [value, setValue] = useState<T | null>(null);
  const [error, setError] = useState<unknown>(null);
  const again = useCallback((): void => {
    setError(null);
    read().then(setValue).catch(setError);
  }, [read]);
  useEffect(again, [again]);
  return { value, error, again };
}

/** j and k move among the links of the rows; Enter opens as it does for any link. */
export function useRowKeys(body: { current: HTMLElement | null }): void {
  useEffect(() => {
    const onKey = (e: KeyboardEvent): void => {
      if (e.ctrlKey || e.metaKey || e.altKey || typing(e.target) || (e.key !== 'j' && e.key !== 'k')) return;
      const links = [...(body.current?.querySelectorAll<HTMLAnchorElement>('a.row-link') ?? [])];
      const at = links.indexOf(document.activeElement as HTMLAnchorElement);
      links[Math.max(0, Math.min(links.length - 1, at + (e.key === 'j' ? 1 : -1)))]?.focus();
      e.preventDefault();
    };
    document.addEventListener('keydown', onKey);
    return () => document.removeEventListener('keydown', onKey);
  }, [body]);
}

function Queue({ qa }: { qa: QaApi }) {
  const app = useApp();
  const t = app.t.value;
  const [mine, setMine] = useState(false);
  const [more, setMore] = useState<Review[]>([]);
  const [cursor, setCursor] = useState<string | null>(null);
  const body = useRef<HTMLTableSectionElement>(null);
  useRowKeys(body);
  const { value, error, again } = useLoaded(useCallback(() => qa.queue({ mine }), [qa, mine]));
  useEffect(() => {
    setMore([]);
    setCursor(value?.next_cursor ?? null);
  }, [value]);
  const next = async (): Promise<void> => {
    if (cursor === null) return;
    try {
      const page = await qa.queue({ mine, cursor });
      setMore((before) => [...before, ...page.reviews]);
      setCursor(page.next_cursor);
    } catch (e) {
      app.say(app.describe(e));
    }
  };
  if (error !== null && value === null) return <ErrorBox error={error} onRetry={again} />;
  if (value === null) return <Skeleton lines={8} />;
  const rows = [...value.reviews, ...more];
  const now = new Date();
  return (
    <>
      <div class="counts" data-testid="queue-counts">
        {(['open', 'claimed', 'mine', 'overdue'] as const).map((name) => (
          <p key={name} class={`figure${name === 'overdue' && value.counts.overdue > 0 ? ' bad' : ''}`}>
            <strong class="num">{value.counts[name]}</strong> <span class="dim">{t(`review.count.${name}`)}</span>
          </p>
        ))}
        <span class="grow" />
        <label class="check">
          <input type="checkbox" checked={mine} onChange={(e) => setMine(e.currentTarget.checked)} /> {t('review.mine')}
        </label>
      </div>
      {rows.length === 0 ? (
        <p class="empty big-empty" data-testid="queue-empty">
          {t('review.empty')}
        </p>
      ) : (
        <div class="table-wrap">
          <table>
            <thead>
              <tr>
                <th scope="col">{t('review.col.due')}</th>
                <th scope="col">{t('review.col.why')}</th>
                <th scope="col">{t('calls.col.agent')}</th>
                <th scope="col" class="right">
                  {t('review.col.risk')}
                </th>
                <th scope="col">{t('review.col.state')}</th>
                <th scope="col">{t('review.col.who')}</th>
              </tr>
            </thead>
            <tbody ref={body}>
              {rows.map((r) => (
                <tr
                  key={r.review_id}
                  data-testid="review-row"
                  data-call-id={r.call_id}
                  onClick={(e) => {
                    if (!(e.target instanceof HTMLAnchorElement)) app.go(`/qa/reviews/${r.review_id}`);
                  }}
                >
                  <td class={`num${new Date(r.due_at) <= now ? ' bad' : ''}`}>
                    <Link to={`/qa/reviews/${r.review_id}`} class="row-link">
                      {moment(r.due_at, app.language.value, now)}
                    </Link>
                  </td>
                  <td>
                    {t(`review.kind.${r.kind}`)} {r.plan !== '' && <span class="dim">{r.plan}</span>}
                  </td>
                  <td>{r.agent_name || <span class="dim">–</span>}</td>
                  <td class={`num right${r.risk >= 60 ? ' bad' : ''}`}>{r.risk || <span class="dim">–</span>}</td>
                  <td>{t(`review.state.${r.state}`)}</td>
                  <td>{r.assigned_name || <span class="dim">–</span>}</td>
                </tr>
              ))}
            </tbody>
          </table>
        </div>
      )}
      {cursor !== null && (
        <p class="more">
          <button type="button" onClick={() => void next()}>
            {t('calls.more')}
          </button>
        </p>
      )}
    </>
  );
}

function Appeals({ qa }: { qa: QaApi }) {
  const app = useApp();
  const t = app.t.value;
  const [closed, setClosed] = useState(false);
  const body = useRef<HTMLTableSectionElement>(null);
  useRowKeys(body);
  const { value, error, again } = useLoaded(
    useCallback(() => qa.appeals(closed ? ['changed', 'kept', 'dismissed', 'withdrawn'] : undefined), [qa, closed]),
  );
  if (error !== null && value === null) return <ErrorBox error={error} onRetry={again} />;
  if (value === null) return <Skeleton lines={6} />;
  return (
    <>
      <div class="counts">
        <span class="grow" />
        <label class="check">
          <input type="checkbox" checked={closed} onChange={(e) => setClosed(e.currentTarget.checked)} />{' '}
          {t('appeal.closed')}
        </label>
      </div>
      {value.appeals.length === 0 ? (
        <p class="empty big-empty">{t('appeal.empty')}</p>
      ) : (
        <div class="table-wrap">
          <table>
            <thead>
              <tr>
                <th scope="col">{t('appeal.col.filed')}</th>
                <th scope="col">{t('calls.col.agent')}</th>
                <th scope="col">{t('review.col.state')}</th>
                <th scope="col">{t('review.col.due')}</th>
                <th scope="col" class="right">
                  {t('appeal.col.items')}
                </th>
                <th scope="col" class="right">
                  {t('calls.col.qa')}
                </th>
                <th scope="col">{t('review.col.who')}</th>
              </tr>
            </thead>
            <tbody ref={body}>
              {value.appeals.map((a) => (
                <AppealRow key={a.appeal_id} appeal={a} />
              ))}
            </tbody>
          </table>
        </div>
      )}
    </>
  );
}

function AppealRow({ appeal }: { appeal: Appeal }) {
  const app = useApp();
  const t = app.t.value;
  const now = new Date();
  const to = `/qa/appeals/${appeal.appeal_id}`;
  return (
    <tr
      data-testid="appeal-row"
      onClick={(e) => {
        if (!(e.target instanceof HTMLAnchorElement)) app.go(to);
      }}
    >
      <td class="num">
        <Link to={to} class="row-link">
          {moment(appeal.filed_at, app.language.value, now)}
        </Link>
      </td>
      <td>{appeal.agent_name}</td>
      <td>{t(`appeal.state.${appeal.state}`)}</td>
      <td class={`num${appeal.due_at !== null && new Date(appeal.due_at) <= now ? ' bad' : ''}`}>
        {moment(appeal.due_at, app.language.value, now) || <span class="dim">–</span>}
      </td>
      <td class="num right">{appeal.items.length}</td>
      <td class="num right">
        {score(appeal.score)}
        {appeal.new_score !== null && ` → ${score(appeal.new_score)}`}
      </td>
      <td>{appeal.assigned_name || <span class="dim">–</span>}</td>
    </tr>
  );
}

function Calibrations({ qa }: { qa: QaApi }) {
  const app = useApp();
  const t = app.t.value;
  const [making, setMaking] = useState(false);
  const { value, error, again } = useLoaded(useCallback(() => qa.calibrations(), [qa]));
  const lead = app.session.value?.user.roles.includes('qa_lead') ?? false;
  if (error !== null && value === null) return <ErrorBox error={error} onRetry={again} />;
  if (value === null) return <Skeleton lines={6} />;
  return (
    <>
      <div class="counts">
        <p class="dim">{t('calibration.intro')}</p>
        <span class="grow" />
        {lead && (
          <button type="button" class="primary" data-testid="new-calibration" onClick={() => setMaking(true)}>
            {t('calibration.new')}
          </button>
        )}
      </div>
      {value.calibrations.length === 0 ? (
        <p class="empty big-empty">{t('calibration.empty')}</p>
      ) : (
        <ul class="plain-list">
          {value.calibrations.map((s: Session) => (
            <li key={s.session_id} class="panel">
              <Link to={`/qa/calibrations/${s.session_id}`} class="row-link">
                {s.name}
              </Link>{' '}
              <span class="dim num">{moment(s.created_at, app.language.value, new Date())}</span>{' '}
              <span class="chip static">{t(s.closed_at === null ? 'calibration.open' : 'calibration.closed')}</span>
            </li>
          ))}
        </ul>
      )}
      {making && (
        <NewCalibration
          qa={qa}
          onClose={() => setMaking(false)}
          onMade={() => {
            setMaking(false);
            again();
          }}
        />
      )}
    </>
  );
}

function AgreementView({ qa }: { qa: QaApi }) {
  const app = useApp();
  const t = app.t.value;
  const { value, error, again } = useLoaded(useCallback(() => qa.agreement(), [qa]));
  if (error !== null && value === null) return <ErrorBox error={error} onRetry={again} />;
  if (value === null) return <Skeleton lines={10} />;
  if (value.verdicts === 0) return <p class="empty big-empty">{t('agreement.empty')}</p>;
  return (
    <>
      <p class="dim counts">{t('agreement.intro', { n: value.verdicts })}</p>
      <AgreementTable
        overall={value.overall}
        questions={value.questions}
        changed={Object.fromEntries(Object.entries(value.questions).map(([k, v]) => [k, v.changed]))}
      />
    </>
  );
}

/** A share as people read it; a dash where nothing can be said. */
const figure = (value: number | null, digits: number): string => (value === null ? '–' : value.toFixed(digits));

export function AgreementTable({
  overall,
  questions,
  changed,
}: {
  overall: Agreement;
  questions: Readonly<Record<string, Agreement>>;
  changed?: Readonly<Record<string, number>>;
}) {
  const app = useApp();
  const t = app.t.value;
  const labels = app.labels.value.rubric_items;
  const rows = Object.entries(questions).sort(([, a], [, b]) => (a.percent ?? 1) - (b.percent ?? 1));
  return (
    <div class="table-wrap">
      <table data-testid="agreement-table">
        <thead>
          <tr>
            <th scope="col">{t('agreement.question')}</th>
            <th scope="col" class="right">
              {t('agreement.pairs')}
            </th>
            <th scope="col" class="right">
              {t('agreement.percent')}
            </th>
            <th scope="col" class="right">
              Cohen κ
            </th>
            <th scope="col" class="right">
              {t('agreement.weighted')}
            </th>
            {changed !== undefined && (
              <th scope="col" class="right">
                {t('agreement.changed')}
              </th>
            )}
          </tr>
        </thead>
        <tbody>
          {[['', overall] as const, ...rows].map(([name, a]) => (
            <tr key={name} class={name === '' ? 'total' : undefined}>
              <th scope="row">{name === '' ? t('agreement.all') : (labels[name]?.name ?? name)}</th>
              <td class="num right">{a.pairs}</td>
              <td class="num right">{a.percent === null ? '–' : `${(a.percent * 100).toFixed(1)}%`}</td>
              <td class="num right">{figure(a.kappa, 2)}</td>
              <td class="num right">{figure(a.weighted, 2)}</td>
              {changed !== undefined && <td class="num right">{name === '' ? '' : (changed[name] ?? 0)}</td>}
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}
