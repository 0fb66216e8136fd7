// How articles are used in calls: a chart per day with the same as a table, articles by use, and those nobody is offered.
import { useState } from 'preact/hooks';
import type { ArticleHead, UseReport } from '../gen/types.ts';
import type { Key } from '../i18n/translate.ts';
import { useApp } from '../ui/app.ts';
import { Link } from '../ui/Shell.tsx';
import { articlePath, Frame, State, useKnowledge, useLoaded } from './Frame.tsx';
import { DayPicker } from './GapsPage.tsx';

const SHOWN = ['offered', 'used', 'copied', 'edited', 'rejected', 'said'] as const;
const BARS = ['offered', 'used', 'rejected'] as const;
const HEIGHT = 120;
const STALE_SHOWN = 30;

export function UsePage() {
  const t = useApp().t.value;
  const kb = useKnowledge();
  const [days, setDays] = useState(30);
  const report = useLoaded(async () => {
    const [use, listed] = await Promise.all([kb.use(days), kb.list({ state: 'in_force', limit: 200 })]);
    return { use, listed };
  }, [days]);
  return (
    <Frame tab="use" actions={<DayPicker days={days} onPick={setDays} />}>
      <State of={report}>
        {({ use, listed }) => (
          <>
            <p class="dim">
              {t('kbc.use.calls', { calls: use.calls, days: use.days })} {use.capped && t('kbc.use.capped')}
            </p>
            {use.articles.length === 0 ? (
              <p class="empty big-empty" data-testid="kb-use-empty">
                {t('kbc.use.empty')}
              </p>
            ) : (
              <>
                <ByDay use={use} />
                <Articles use={use} />
              </>
            )}
            <Stale use={use} heads={listed.items} more={listed.total > listed.items.length} />
          </>
        )}
      </State>
    </Frame>
  );
}

function ByDay({ use }: { use: UseReport }) {
  const t = useApp().t.value;
  const [table, setTable] = useState(false);
  const days = Object.entries(use.by_day);
  const most = Math.max(1, ...days.map(([, counts]) => counts.offered ?? 0));
  const width = 100 / Math.max(1, days.length);
  return (
    <section class="kb-panel">
      <header class="page-head">
        <h2>{t('kbc.use.byday')}</h2>
        <span class="grow" />
        <button
          type="button"
          class="small"
          aria-pressed={table}
          data-testid="kb-as-table"
          onClick={() => setTable(!table)}
        >
          {t(table ? 'kbc.use.chart' : 'kbc.use.table')}
        </button>
      </header>
      {table ? (
        <table data-testid="kb-day-table">
          <thead>
            <tr>
              <th scope="col">{t('kbc.use.day')}</th>
              {SHOWN.map((name) => (
                <th key={name} scope="col" class="right">
                  {t(`kbc.use.${name}` as Key)}
                </th>
              ))}
            </tr>
          </thead>
          <tbody>
            {days.map(([day, counts]) => (
              <tr key={day}>
                <th scope="row" class="num">
                  {day}
                </th>
                {SHOWN.map((name) => (
                  <td key={name} class="right num">
                    {counts[name] ?? 0}
                  </td>
                ))}
              </tr>
            ))}
          </tbody>
        </table>
      ) : (
        <>
          <svg
            class="kb-chart"
            viewBox={`0 0 100 ${HEIGHT}`}
            preserveAspectRatio="none"
            role="img"
            aria-label={t('kbc.use.chart.label', { days: days.length, most })}
          >
            {days.map(([day, counts], i) =>
              BARS.map((name, k) => {
                const high = ((counts[name] ?? 0) / most) * (HEIGHT - 8);
                return (
                  <rect
                    key={`${day}${name}`}
                    class={name}
                    x={i * width + width * (0.1 + 0.27 * k)}
                    y={HEIGHT - high}
                    width={Math.min(width * 0.25, 4)}
                    height={high}
                  />
                );
              }),
            )}
          </svg>
          <p class="legend">
            {BARS.map((name) => (
              <span key={name}>
                <i class={`kb-swatch ${name}`} /> {t(`kbc.use.${name}` as Key)}
              </span>
            ))}
            <span class="num">
              {days[0]?.[0]} – {days.at(-1)?.[0]} · {t('kbc.use.most', { n: most })}
            </span>
          </p>
        </>
      )}
    </section>
  );
}

function Articles({ use }: { use: UseReport }) {
  const t = useApp().t.value;
  const app = useApp();
  return (
    <section class="table-wrap">
      <table data-testid="kb-use-table">
        <thead>
          <tr>
            <th scope="col">{t('kbc.col.title')}</th>
            {SHOWN.map((name) => (
              <th key={name} scope="col" class="right">
                {t(`kbc.use.${name}` as Key)}
              </th>
            ))}
            <th scope="col">{t('kbc.use.reasons')}</th>
            <th scope="col">{t('kbc.use.last')}</th>
          </tr>
        </thead>
        <tbody>
          {use.articles.map((one) => (
            <tr key={`${one.article_id}/${one.language}`}>
              <td class="wrap">
                <Link to={articlePath(one.article_id, one.language)} class="row-link">
                  {one.title}
                </Link>
              </td>
              {SHOWN.map((name) => (
                <td key={name} class="right num">
                  {one.counts[name] ?? 0}
                </td>
              ))}
              <td class="wrap dim">
                {Object.entries(one.reasons)
                  .map(([reason, n]) => `${app.word(`sug.reason.${reason}`, reason)} ${n}`)
                  .join(' · ') || '–'}
              </td>
              <td class="num dim">{one.last ?? '–'}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </section>
  );
}

function Stale({ use, heads, more }: { use: UseReport; heads: readonly ArticleHead[]; more: boolean }) {
  const t = useApp().t.value;
  const used = new Set(use.articles.map((one) => `${one.article_id}/${one.language}`));
  const never = heads.filter((one) => !used.has(`${one.article_id}/${one.language}`));
  const soon = new Date(Date.now() + 30 * 86_400_000).toLocaleDateString('sv-SE');
  const ending = heads.filter((one) => one.valid_to !== null && one.valid_to <= soon);
  return (
    <div class="two">
      <section class="kb-panel">
        <h2>{t('kbc.use.ending', { n: ending.length })}</h2>
        <Few heads={ending} />
      </section>
      <section class="kb-panel">
        <h2>{t('kbc.use.never', { n: `${never.length}${more ? '+' : ''}` })}</h2>
        <Few heads={never} />
      </section>
    </div>
  );
}

function Few({ heads }: { heads: readonly ArticleHead[] }) {
  const t = useApp().t.value;
  if (heads.length === 0) return <p class="empty">{t('kbc.none')}</p>;
  return (
    <ul>
      {heads.slice(0, STALE_SHOWN).map((one) => (
        <li key={`${one.article_id}/${one.language}`}>
          <Link to={articlePath(one.article_id, one.language)}>{one.title}</Link>{' '}
          <span class="dim num">{one.valid_to ?? ''}</span>
        </li>
      ))}
    </ul>
  );
}
