// Figures by team and by agent: of calls and scores. Nothing is concluded from how an agent sounds.
import { useCallback, useState } from 'preact/hooks';
import { clock, score } from '../core/format.ts';
import type { ConsoleApi, PersonFigures } from '../net/console.ts';
import { useLoaded } from '../review/QueuePage.tsx';
import { useApp } from '../ui/app.ts';
import { ErrorBox, Link, Skeleton } from '../ui/Shell.tsx';
import { addressOf, type Chosen } from './figures.ts';

const FIRST = 15;

export function TeamFigures({ api, days, span }: { api: ConsoleApi; days: number; span: Chosen }) {
  const app = useApp();
  const t = app.t.value;
  const [by, setBy] = useState<'teams' | 'agents'>('teams');
  const [all, setAll] = useState(false);
  const { value, error, again } = useLoaded(useCallback(() => api.teams(days), [api, days]));
  if (error !== null && value === null) return <ErrorBox error={error} onRetry={again} />;
  if (value === null) return <Skeleton lines={6} />;
  const rows: readonly PersonFigures[] = value[by];
  return (
    <section class="team-figures" aria-label={t('console.people')} data-testid="team-figures">
      <header class="counts">
        <h2>{t('console.people')}</h2>
        <fieldset class="segmented">
          <legend class="sr-only">{t('console.people')}</legend>
          {(['teams', 'agents'] as const).map((one) => (
            <button key={one} type="button" aria-pressed={by === one} onClick={() => setBy(one)}>
              {t(`console.people.${one}`)}
            </button>
          ))}
        </fieldset>
      </header>
      {rows.length === 0 ? (
        <p class="empty">{t('console.none')}</p>
      ) : (
        <div class="table-wrap">
          <table>
            <thead>
              <tr>
                <th scope="col">{t(`console.people.${by}`)}</th>
                {(['calls', 'score', 'below', 'fatal', 'risk', 'alerts', 'reviewed', 'length'] as const).map((name) => (
                  <th key={name} scope="col" class="right">
                    {t(`console.col.${name}`)}
                  </th>
                ))}
              </tr>
            </thead>
            <tbody>
              {(all ? rows : rows.slice(0, FIRST)).map((one) => {
                const mine: Chosen = { ...span, [by === 'teams' ? 'team' : 'agent']: one.key };
                return (
                  <tr key={one.key}>
                    <th scope="row">
                      <Link to={addressOf(mine)}>{one.name || t('console.noteam')}</Link>
                    </th>
                    <td class="num right">{one.calls}</td>
                    <td class="num right">{one.mean_score === null ? '–' : score(one.mean_score)}</td>
                    <Drill value={one.below60 - one.fatal} to={addressOf({ ...mine, score: '0' })} />
                    <Drill value={one.fatal} to={addressOf({ ...mine, score: 'fatal' })} />
                    <Drill value={one.high_risk} to={addressOf({ ...mine, risk: 'high' })} />
                    <td class="num right">{one.alerts}</td>
                    <Drill value={one.reviewed} to={addressOf({ ...mine, state: 'reviewed' })} />
                    <td class="num right">{one.mean_duration_ms === null ? '–' : clock(one.mean_duration_ms)}</td>
                  </tr>
                );
              })}
            </tbody>
          </table>
        </div>
      )}
      {rows.length > FIRST && !all && (
        <p class="more">
          <button type="button" onClick={() => setAll(true)}>
            {t('console.all', { n: rows.length })}
          </button>
        </p>
      )}
    </section>
  );
}

function Drill({ value, to }: { value: number; to: string }) {
  return <td class="num right">{value === 0 ? <span class="dim">0</span> : <Link to={to}>{value}</Link>}</td>;
}
