// The parts of the insights page: a chart, and below it the table of its figures.
import { useCallback } from 'preact/hooks';
import { percent } from '../core/format.ts';
import { mayRead, mayWrite } from '../kb/requests.ts';
import type { Query } from '../net/api.ts';
import type { InsightsApi, Movement, Verdict } from '../net/insights.ts';
import { useLoaded } from '../review/QueuePage.tsx';
import { useApp } from '../ui/app.ts';
import { Rich } from '../ui/Rich.tsx';
import { ErrorBox, Link, Skeleton } from '../ui/Shell.tsx';
import { BarChart } from './charts.tsx';
import { sentenceAddress } from './Evidence.tsx';
import { addressOf, trend } from './figures.ts';
import { type PartProps, useNames } from './InsightsPage.tsx';

const FIRST = 15;
const ARROW: Record<Verdict, string> = { new: '＋', rising: '↑', falling: '↓', steady: '→', few: '·' };

const ratio = (low: number, high: number | null): string =>
  `${low.toFixed(2)} – ${high === null ? '∞' : high.toFixed(2)}`;

export function Trends({ data, onShow }: PartProps) {
  const app = useApp();
  const t = app.t.value;
  const calls = t('console.unit.calls');
  const days = Object.entries(data.days);
  return (
    <>
      <div class="tiles">
        <Tile name={t('console.calls')} now={data.total.calls} before={data.before.calls} />
        <Tile name={t('center.upset_calls')} now={data.total.upset} before={data.before.upset} />
        <div class="tile">
          <span class="dim">{t('center.emerging')}</span>
          <strong class="num">{data.emerging.length}</strong>
        </div>
      </div>
      <div class="charts">
        <BarChart
          title={t('console.by_day')}
          unit={calls}
          partName={t('center.upset_calls')}
          empty={t('console.none')}
          testid="insights-days"
          bars={days.map(([day, one]) => ({
            label: day.slice(5),
            value: one.calls,
            part: one.upset,
            to: addressOf({ since: day, until: day }),
          }))}
          note={<p class="dim small-text">{t('center.by_day.note')}</p>}
        />
        <MovementPart
          title={t('center.emerging')}
          note={t('center.emerging.note')}
          empty={t('center.emerging.none')}
          testid="insights-emerging"
          rows={data.emerging}
          data={data}
          onShow={onShow}
          kinds
        />
      </div>
      {(['topic', 'cluster', 'cause'] as const).map((kind) => (
        <MovementPart
          key={kind}
          title={t(`center.kinds.${kind}`)}
          note={t(`center.kinds.${kind}.note`)}
          empty={t('center.none')}
          testid={`insights-${kind}`}
          rows={data.movements.filter((one) => one.kind === kind && one.now + one.before > 0).slice(0, FIRST)}
          data={data}
          onShow={onShow}
        />
      ))}
    </>
  );
}

function Tile({ name, now, before }: { name: string; now: number; before: number }) {
  const app = useApp();
  const t = app.t.value;
  return (
    <div class="tile">
      <span class="dim">{name}</span>
      <strong class="num">{now}</strong>
      <span class="dim small-text">
        {t(`console.trend.${trend(now, before)}`)}
        {app.language.value === 'zh' ? '，' : ', '}
        {t('console.before', { n: before })}
      </span>
    </div>
  );
}

function MovementPart({
  title,
  note,
  empty,
  testid,
  rows,
  data,
  onShow,
  kinds = false,
}: PartProps & {
  title: string;
  note: string;
  empty: string;
  testid: string;
  rows: readonly Movement[];
  kinds?: boolean;
}) {
  const app = useApp();
  const t = app.t.value;
  const name = useNames(data);
  const most = Math.max(1, ...rows.map((one) => Math.max(one.now, one.before)));
  return (
    <section class="panel topics" aria-label={title} data-testid={testid}>
      <h2>{title}</h2>
      <p class="dim small-text">{note}</p>
      {rows.length === 0 ? (
        <p class="empty">{empty}</p>
      ) : (
        <div class="scroll-x">
          <table>
            <thead>
              <tr>
                <th scope="col">{t('center.col.name')}</th>
                <th scope="col" class="bar-col">
                  <span class="sr-only">{t('center.col.bar')}</span>
                </th>
                <th scope="col" class="right">
                  {t('center.col.now')}
                </th>
                <th scope="col" class="right">
                  {t('center.col.before')}
                </th>
                <th scope="col" class="right">
                  {t('center.col.ratio')}
                </th>
                <th scope="col" class="right">
                  {t('center.upset_calls')}
                </th>
                <th scope="col">{t('center.col.verdict')}</th>
              </tr>
            </thead>
            <tbody>
              {rows.map((one) => (
                <tr key={`${one.kind}/${one.key}`}>
                  <th scope="row">
                    <button
                      type="button"
                      class="as-link"
                      onClick={() => onShow({ about: one.kind, key: one.key, name: name(one.kind, one.key) })}
                    >
                      {name(one.kind, one.key)}
                    </button>
                    {kinds && <span class="dim small-text"> {t(`center.kind.${one.kind}`)}</span>}
                  </th>
                  <td class="bar-cell">
                    <svg viewBox="0 0 100 8" preserveAspectRatio="none" aria-hidden="true" focusable="false">
                      <rect class="bar-before" width={(100 * one.before) / most} height="8" />
                      <rect class="bar" width={(100 * one.now) / most} height="4" y="2" />
                    </svg>
                  </td>
                  <td class="num right">{one.now}</td>
                  <td class="num right dim">{one.before}</td>
                  <td class="num right">{one.q === null ? <span class="dim">–</span> : ratio(one.low, one.high)}</td>
                  <td class="num right">{one.upset}</td>
                  <td class={`moved ${one.verdict}`}>
                    <span aria-hidden="true">{ARROW[one.verdict]}</span> {t(`center.verdict.${one.verdict}`)}
                  </td>
                </tr>
              ))}
            </tbody>
          </table>
        </div>
      )}
    </section>
  );
}

export function Complaints({ data, onShow }: PartProps) {
  const app = useApp();
  const t = app.t.value;
  const name = useNames(data);
  return (
    <>
      <BarChart
        title={t('center.drivers')}
        unit={t('center.unit.lift')}
        empty={t('center.drivers.none')}
        testid="insights-drivers"
        bars={data.drivers
          .slice(0, 12)
          .map((one) => ({ label: name(one.kind, one.key), value: Math.round(one.lift * 10) / 10 }))}
        note={<p class="dim small-text">{t('center.drivers.note', { n: data.total.upset, all: data.total.calls })}</p>}
      />
      {data.drivers.length > 0 && (
        <div class="table-wrap">
          <table data-testid="insights-drivers-table">
            <thead>
              <tr>
                <th scope="col">{t('center.col.name')}</th>
                <th scope="col">{t('center.col.kind')}</th>
                <th scope="col" class="right">
                  {t('console.calls')}
                </th>
                <th scope="col" class="right">
                  {t('center.upset_calls')}
                </th>
                <th scope="col" class="right">
                  {t('center.col.share')}
                </th>
                <th scope="col" class="right">
                  {t('center.col.others')}
                </th>
                <th scope="col" class="right">
                  {t('center.col.lift')}
                </th>
              </tr>
            </thead>
            <tbody>
              {data.drivers.map((one) => (
                <tr key={`${one.kind}/${one.key}`}>
                  <th scope="row">
                    <button
                      type="button"
                      class="as-link"
                      onClick={() => onShow({ about: one.kind, key: one.key, name: name(one.kind, one.key) })}
                    >
                      {name(one.kind, one.key)}
                    </button>
                  </th>
                  <td>{t(`center.kind.${one.kind}`)}</td>
                  <td class="num right">{one.calls}</td>
                  <td class="num right">{one.upset}</td>
                  <td class="num right">{percent(one.share)}</td>
                  <td class="num right dim">{percent(one.others_share)}</td>
                  <td class="num right">
                    <strong>{one.lift.toFixed(1)}</strong> <span class="dim">({ratio(one.low, one.high)})</span>
                  </td>
                </tr>
              ))}
            </tbody>
          </table>
        </div>
      )}
    </>
  );
}

export function Coaching({ data, onShow }: PartProps) {
  const app = useApp();
  const t = app.t.value;
  const items = app.labels.value.rubric_items;
  if (data.coaching.length === 0) return <p class="empty big-empty">{t('center.coaching.none')}</p>;
  return (
    <>
      <p class="dim small-text">{t('center.coaching.note')}</p>
      <div class="table-wrap">
        <table data-testid="insights-coaching">
          <thead>
            <tr>
              <th scope="col">{t('center.col.agent')}</th>
              <th scope="col">{t('center.col.question')}</th>
              <th scope="col" class="right">
                {t('center.col.failed')}
              </th>
              <th scope="col" class="right">
                {t('center.col.share')}
              </th>
              <th scope="col" class="right">
                {t('center.col.peers')}
              </th>
            </tr>
          </thead>
          <tbody>
            {data.coaching.map((one) => {
              const question = items[one.item_id]?.name ?? one.item_id;
              return (
                <tr key={`${one.agent_id}/${one.item_id}`}>
                  <th scope="row">{data.agents[one.agent_id] ?? one.agent_id}</th>
                  <td>
                    <button
                      type="button"
                      class="as-link"
                      onClick={() =>
                        onShow({ about: 'question', key: one.item_id, name: question, agent: one.agent_id })
                      }
                    >
                      {question}
                    </button>
                  </td>
                  <td class="num right">
                    {one.failed} / {one.asked}
                  </td>
                  <td class="num right">
                    {percent(one.share)}{' '}
                    <span class="dim">
                      ({percent(one.low)} – {percent(one.high)})
                    </span>
                  </td>
                  <td class="num right">
                    {one.peers_share === null ? '–' : percent(one.peers_share)}{' '}
                    {one.q !== null && one.q <= 0.05 && (
                      <span class="chip static warn">{t('center.coaching.more')}</span>
                    )}
                  </td>
                </tr>
              );
            })}
          </tbody>
        </table>
      </div>
    </>
  );
}

export function Leads({ data, onShow, api, asked }: PartProps & { api: InsightsApi; asked: Query }) {
  const app = useApp();
  const t = app.t.value;
  const name = useNames(data);
  const roles = app.session.value?.user.roles ?? [];
  const leads = Object.entries(data.leads);
  const candidates = useLoaded(useCallback(() => api.candidates(asked), [api, asked]));
  return (
    <>
      <BarChart
        title={t('center.leads')}
        unit={t('console.unit.calls')}
        empty={t('center.leads.none')}
        testid="insights-leads"
        bars={leads.map(([lead, calls]) => ({ label: name('lead', lead), value: calls }))}
        note={<p class="dim small-text">{t('center.leads.note')}</p>}
      />
      {leads.length > 0 && (
        <ul class="plain-list lead-list">
          {leads.map(([lead, calls]) => (
            <li key={lead}>
              <button
                type="button"
                class="as-link"
                onClick={() => onShow({ about: 'lead', key: lead, name: name('lead', lead) })}
              >
                {name('lead', lead)}
              </button>{' '}
              <span class="dim num">
                {calls} {t('console.unit.calls')}
              </span>
            </li>
          ))}
        </ul>
      )}
      <section class="panel" aria-label={t('center.faq')} data-testid="insights-faq">
        <h2>{t('center.faq')}</h2>
        <p class="dim small-text">
          {t('center.faq.note')} {mayRead(roles) && <Link to="/kb/gaps">{t('center.gaps')}</Link>}
        </p>
        {candidates.error !== null && candidates.value === null && (
          <ErrorBox error={candidates.error} onRetry={candidates.again} />
        )}
        {candidates.value === null && candidates.error === null && <Skeleton lines={4} />}
        {candidates.value !== null && candidates.value.candidates.length === 0 && (
          <p class="empty">{t('center.faq.none')}</p>
        )}
        <ul class="plain-list">
          {candidates.value?.candidates.map((one) => (
            <li key={one.question}>
              <strong>
                <Rich text={one.question} />
              </strong>{' '}
              <span class="dim num">{t('center.faq.calls', { n: one.calls })}</span>
              <p class="dim">
                <Rich text={one.answer} />
              </p>
              <p class="small-text">
                <Link to={sentenceAddress(one.call_id, one.place.utterance_id)}>{t('center.faq.hear')}</Link>
                {mayWrite(roles) && (
                  <button
                    type="button"
                    class="small"
                    onClick={() => {
                      // For this tab only: the new page takes it up and forgets it.
                      app.remember(
                        'kb.new',
                        JSON.stringify({
                          language: one.language,
                          title: one.question,
                          questions: [],
                          intent: '',
                          origin: '',
                        }),
                      );
                      app.go('/kb/new');
                    }}
                  >
                    {t('kbc.gaps.write')}
                  </button>
                )}
              </p>
            </li>
          ))}
        </ul>
      </section>
    </>
  );
}
