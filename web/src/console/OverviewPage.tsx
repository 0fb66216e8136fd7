// The dashboard: what goes on today, how the last days were scored, where complaints may come from. Every number leads to its calls.
import { useCallback, useEffect, useMemo, useState } from 'preact/hooks';
import { clock, percent, score } from '../core/format.ts';
import { ConsoleApi, type Overview, type Topic } from '../net/console.ts';
import { useLoaded } from '../review/QueuePage.tsx';
import { useApp } from '../ui/app.ts';
import { ErrorBox, Link, Shell, Skeleton } from '../ui/Shell.tsx';
import { BarChart } from './charts.tsx';
import { addressOf, bands, type Chosen, coverage, trend } from './figures.ts';
import { TeamFigures } from './TeamFigures.tsx';

const SPANS = [1, 7, 30, 90] as const;
const AGAIN_MS = 30_000;

export function OverviewPage() {
  const app = useApp();
  const t = app.t.value;
  const asked = Number(new URLSearchParams(app.query.value).get('days'));
  const days = SPANS.find((one) => one === asked) ?? 7;
  const api = useMemo(() => new ConsoleApi(app.api), [app]);
  const { value, error, again } = useLoaded(useCallback(() => api.overview(days, undefined), [api, days]));
  const [stale, setStale] = useState(false);
  useEffect(() => {
    const timer = setInterval(() => {
      if (!document.hidden) again();
    }, AGAIN_MS);
    return () => clearInterval(timer);
  }, [again]);
  useEffect(() => setStale(error !== null && value !== null), [error, value]);
  return (
    <Shell>
      <main id="main" class="calls overview" data-testid="overview-page">
        <header class="page-head">
          <h1>{t('console.title')}</h1>
          <nav class="segmented" aria-label={t('console.span')}>
            {SPANS.map((one) => (
              <Link
                key={one}
                to={one === 7 ? '/overview' : `/overview?days=${one}`}
                class="segment"
                current={one === days}
              >
                {t(one === 1 ? 'console.span.today' : 'console.span.days', { n: one })}
              </Link>
            ))}
          </nav>
          <span class="grow" />
          {value !== null && (
            <span class="dim num">
              {value.first} – {value.last}
            </span>
          )}
          {stale && <span class="bad">{t('console.stale')}</span>}
        </header>
        {error !== null && value === null && <ErrorBox error={error} onRetry={again} />}
        {value === null && error === null && <Skeleton lines={10} />}
        {value !== null && <Figures data={value} days={days} api={api} />}
      </main>
    </Shell>
  );
}

function Figures({ data, days, api }: { data: Overview; days: number; api: ConsoleApi }) {
  const app = useApp();
  const t = app.t.value;
  const span: Chosen = { since: data.first, until: data.last };
  const scored = coverage(data.total);
  const calls = t('console.unit.calls');
  return (
    <>
      <div class="tiles" data-testid="tiles">
        <Tile name={t('console.live')} value={String(data.live)} to={addressOf({ phase: 'live' })} />
        <Tile
          name={t('console.today')}
          value={String(data.today.calls)}
          to={addressOf({ since: data.last, until: data.last })}
        />
        <Tile
          name={t('console.calls')}
          value={String(data.total.calls)}
          before={data.before.calls}
          now={data.total.calls}
          to={addressOf(span)}
        />
        <Tile
          name={t('console.coverage')}
          value={scored === null ? '–' : percent(scored)}
          note={t('console.reviewed', { n: data.total.reviewed })}
          to={addressOf({ ...span, state: 'reviewed' })}
        />
        <Tile
          name={t('console.score')}
          value={data.total.mean_score === null ? '–' : score(data.total.mean_score)}
          note={data.before.mean_score === null ? '' : t('console.before', { n: score(data.before.mean_score) })}
          to={addressOf({ ...span, score: '0' })}
        />
        <Tile
          name={t('console.risk')}
          value={String(data.total.high_risk)}
          before={data.before.high_risk}
          now={data.total.high_risk}
          bad={data.total.high_risk > 0}
          to={addressOf({ ...span, risk: 'high' })}
        />
        <Tile
          name={t('console.fatal')}
          value={String(data.total.fatal)}
          bad={data.total.fatal > 0}
          to={addressOf({ ...span, score: 'fatal' })}
        />
        <Tile
          name={t('console.queue')}
          value={String(data.queue.open)}
          note={data.queue.overdue > 0 ? t('console.overdue', { n: data.queue.overdue }) : ''}
          bad={data.queue.overdue > 0}
          to="/qa"
        />
      </div>
      <div class="charts">
        <BarChart
          title={t('console.by_day')}
          unit={calls}
          partName={t('console.risk')}
          empty={t('console.none')}
          testid="chart-days"
          bars={data.days.map((d) => ({
            label: d.day.slice(5),
            value: d.calls,
            part: d.high_risk,
            to: addressOf({ since: d.day, until: d.day }),
          }))}
          note={<p class="dim small-text">{t('console.by_day.note')}</p>}
        />
        <BarChart
          title={t('console.bands')}
          unit={calls}
          empty={t('console.none.scored')}
          testid="chart-bands"
          bars={bands(data.total).map((b) => ({
            label: t(`console.band.${b.key}`),
            value: b.calls,
            to: addressOf({ ...span, score: b.key }),
          }))}
          note={
            <p class="dim small-text">
              {t('console.length', {
                at: data.total.mean_duration_ms === null ? '–' : clock(data.total.mean_duration_ms),
                n: data.total.alerts,
              })}
            </p>
          }
        />
        <Topics title={t('console.topics')} facet="ticket" topics={data.topics} span={span} />
        <Topics title={t('console.intents')} facet="intent" topics={data.intents} span={span} />
      </div>
      <TeamFigures api={api} days={days} span={span} />
    </>
  );
}

function Tile(props: {
  name: string;
  value: string;
  to: string;
  note?: string;
  bad?: boolean;
  now?: number;
  before?: number;
}) {
  const app = useApp();
  const t = app.t.value;
  const moved = props.now === undefined || props.before === undefined ? null : trend(props.now, props.before);
  return (
    <Link to={props.to} class={`tile${props.bad ? ' bad' : ''}`}>
      <span class="dim">{props.name}</span>
      <strong class="num">{props.value}</strong>
      <span class="dim small-text">
        {moved !== null && props.before !== undefined ? (
          <>
            {t(`console.trend.${moved}`)}
            {app.language.value === 'zh' ? '，' : ', '}
            {t('console.before', { n: props.before })}
          </>
        ) : (
          (props.note ?? '')
        )}
      </span>
    </Link>
  );
}

const ARROW = { up: '↑', down: '↓', same: '→', new: '＋' } as const;

function Topics({
  title,
  facet,
  topics,
  span,
}: {
  title: string;
  facet: 'ticket' | 'intent';
  topics: readonly Topic[];
  span: Chosen;
}) {
  const app = useApp();
  const t = app.t.value;
  const most = Math.max(1, ...topics.map((one) => one.calls));
  return (
    <section class="panel topics" aria-label={title} data-testid={`topics-${facet}`}>
      <h2>{title}</h2>
      {topics.length === 0 ? (
        <p class="empty">{t('console.none')}</p>
      ) : (
        <table>
          <tbody>
            {topics.map((one) => {
              const moved = trend(one.calls, one.before);
              const name = facet === 'ticket' ? app.categoryName(one.key) : app.intentName(one.key);
              return (
                <tr key={one.key}>
                  <th scope="row">
                    <Link to={addressOf({ ...span, [facet]: facet === 'ticket' ? `/${one.key}` : one.key })}>
                      {name}
                    </Link>
                  </th>
                  <td class="bar-cell">
                    <svg viewBox="0 0 100 8" preserveAspectRatio="none" aria-hidden="true" focusable="false">
                      <rect class="bar" width={(100 * one.calls) / most} height="8" />
                      <rect class="bar-part" width={(100 * one.high_risk) / most} height="8" />
                    </svg>
                  </td>
                  <td class="num right">{one.calls}</td>
                  <td class={`right trend ${moved}`} title={t('console.before', { n: one.before })}>
                    <span aria-hidden="true">{ARROW[moved]}</span>
                    <span class="sr-only">{t(`console.trend.${moved}`)}</span>
                  </td>
                </tr>
              );
            })}
          </tbody>
        </table>
      )}
    </section>
  );
}
