// What the center learns: how topics move, what goes with complaints, what to coach, whom to call back. Every figure leads to its calls.
import { useCallback, useMemo, useState } from 'preact/hooks';
import type { Query } from '../net/api.ts';
import { type About, type Findings, InsightsApi, type Kind } from '../net/insights.ts';
import { useLoaded } from '../review/QueuePage.tsx';
import { useApp } from '../ui/app.ts';
import { ErrorBox, Link, Shell, Skeleton } from '../ui/Shell.tsx';
import { Evidence } from './Evidence.tsx';
import { ExportMenu } from './ExportMenu.tsx';
import { Coaching, Complaints, Leads, Trends } from './InsightTables.tsx';
import { CHANNELS, insightsAddress, requestOf, SPANS, TABS, type Window, windowOf } from './insightwindow.ts';
import { Reports, saveBlob } from './Reports.tsx';

export interface Shown {
  about: About;
  key: string;
  name: string;
  agent?: string;
}

export interface PartProps {
  data: Findings;
  onShow: (shown: Shown) => void;
}

const FORMATS = ['html', 'xlsx', 'json'] as const;

/** Names of what is counted; of clusters their words. */
export function useNames(data: Findings): (kind: Kind | 'lead', key: string) => string {
  const app = useApp();
  const labels = app.labels.value;
  const separator = app.language.value === 'zh' ? '、' : ', ';
  return useCallback(
    (kind, key) => {
      if (kind === 'topic') return labels.categories[key] ?? key;
      if (kind === 'cause') return labels.causes[key] ?? key;
      if (kind === 'lead') return labels.leads[key] ?? key;
      if (kind === 'term') return key;
      return data.clusters.find((one) => one.cluster_id === key)?.terms.join(separator) || key;
    },
    [data, labels, separator],
  );
}

export function InsightsPage() {
  const app = useApp();
  const t = app.t.value;
  const query = app.query.value;
  const window = useMemo(() => windowOf(query), [query]);
  const asked = useMemo(
    () => requestOf(window, new Date()),
    [window.days, window.team, window.product, window.channel],
  );
  const api = useMemo(() => new InsightsApi(app.api), [app]);
  const { value, error, again } = useLoaded(useCallback(() => api.findings(asked), [api, asked]));
  const [shown, setShown] = useState<Shown | null>(null);
  const go = (change: Partial<Window>): void => app.go(insightsAddress({ ...window, ...change }));
  return (
    <Shell>
      <main id="main" class="calls overview insight-page" data-testid="insights-page">
        <header class="page-head">
          <h1>{t('center.title')}</h1>
          <nav class="segmented" aria-label={t('center.parts')}>
            {TABS.map((tab) => (
              <Link key={tab} to={insightsAddress({ ...window, tab })} class="segment" current={tab === window.tab}>
                {t(`center.tab.${tab}`)}
              </Link>
            ))}
          </nav>
          <span class="grow" />
          <Export api={api} asked={asked} />
        </header>
        <Filters window={window} data={value} onChange={go} />
        {error !== null && <ErrorBox error={error} onRetry={again} />}
        {value === null && error === null && <Skeleton lines={10} />}
        {value !== null && (
          <>
            <p class="dim small-text" data-testid="insights-window">
              {t('center.window', {
                first: value.chosen.first,
                last: value.chosen.last,
                before: value.compared.first,
                until: value.compared.last,
              })}
            </p>
            {window.tab === 'trends' && <Trends data={value} onShow={setShown} />}
            {window.tab === 'complaints' && <Complaints data={value} onShow={setShown} />}
            {window.tab === 'agents' && <Coaching data={value} onShow={setShown} />}
            {window.tab === 'leads' && <Leads data={value} onShow={setShown} api={api} asked={asked} />}
            {window.tab === 'reports' && <Reports api={api} />}
          </>
        )}
      </main>
      {shown !== null && <Evidence api={api} asked={asked} shown={shown} onClose={() => setShown(null)} />}
    </Shell>
  );
}

function Filters({
  window,
  data,
  onChange,
}: {
  window: Window;
  data: Findings | null;
  onChange: (change: Partial<Window>) => void;
}) {
  const app = useApp();
  const t = app.t.value;
  const lists: ['team' | 'product' | 'channel', [string, string][]][] = [
    ['team', (data?.facets.teams ?? []).map((one) => [one.key, `${one.name}（${one.calls}）`])],
    ['product', (data?.facets.products ?? []).map((one) => [one.key, `${app.categoryName(one.key)}（${one.calls}）`])],
    ['channel', CHANNELS.map((one) => [one, t(`center.channel.${one}`)])],
  ];
  const any = window.team !== '' || window.product !== '' || window.channel !== '';
  return (
    <search class="facets" aria-label={t('center.filters')} data-testid="insights-filters">
      <fieldset class="segmented">
        <legend class="sr-only">{t('console.span')}</legend>
        {SPANS.map((days) => (
          <button key={days} type="button" aria-pressed={days === window.days} onClick={() => onChange({ days })}>
            {t('console.span.days', { n: days })}
          </button>
        ))}
      </fieldset>
      {lists.map(([name, options]) => (
        <label key={name} class={window[name] === '' ? 'facet' : 'facet on'}>
          <span class="sr-only">{t(`center.filter.${name}`)}</span>
          <select
            value={window[name]}
            data-testid={`insights-${name}`}
            onChange={(e) => onChange({ [name]: e.currentTarget.value })}
          >
            <option value="">{t(`center.filter.${name}`)}</option>
            {options.map(([key, text]) => (
              <option key={key} value={key}>
                {text}
              </option>
            ))}
            {window[name] !== '' && !options.some(([key]) => key === window[name]) && (
              <option value={window[name]}>{window[name]}</option>
            )}
          </select>
        </label>
      ))}
      {any && (
        <button type="button" class="quiet small" onClick={() => onChange({ team: '', product: '', channel: '' })}>
          {t('calls.facet.clear')}
        </button>
      )}
    </search>
  );
}

function Export({ api, asked }: { api: InsightsApi; asked: Query }) {
  const app = useApp();
  const t = app.t.value;
  return (
    <ExportMenu
      formats={FORMATS.map((one) => [one, t(`center.export.${one}`)] as const)}
      write={async (format) =>
        saveBlob(
          await api.report(asked, format, app.language.value),
          `insights_${asked.since}_${asked.until}.${format}`,
        )
      }
      testid="insights-export"
    />
  );
}
