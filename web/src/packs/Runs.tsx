// Dry runs of one pack: choose calls, begin, and the runs there were.
import { useCallback, useEffect, useState } from 'preact/hooks';
import { moment } from '../core/format.ts';
import { type DryRun, type Fault, mayDryRun, type PacksApi, type PackVersion, type RunChoice } from '../net/packs.ts';
import { useLoaded } from '../review/QueuePage.tsx';
import { useApp } from '../ui/app.ts';
import { ErrorBox, Link, Skeleton } from '../ui/Shell.tsx';

const LIMITS = [50, 200, 500, 1000] as const;
const AGAIN_MS = 2000;

export const runPath = (pack: string, id: string): string => `/packs/${pack}/runs/${id}`;
export const isOpen = (run: DryRun): boolean => run.state === 'queued' || run.state === 'running';

interface Props {
  api: PacksApi;
  name: string;
  version: PackVersion;
  /** Saves what is being written. */
  before: () => Promise<boolean>;
  faults: readonly Fault[] | null;
}

export function Runs({ api, name, version, before, faults }: Props) {
  const app = useApp();
  const t = app.t.value;
  const may = mayDryRun(app.session.value?.user.roles ?? []);
  const { value, error, again } = useLoaded(
    useCallback(() => (may ? api.runs(name) : Promise.resolve({ runs: [] })), [api, name, may]),
  );
  const waiting = value?.runs.some(isOpen) ?? false;
  useEffect(() => {
    if (!waiting) return;
    const timer = setInterval(again, AGAIN_MS);
    return () => clearInterval(timer);
  }, [waiting, again]);
  if (!may) return <p class="empty big-empty">{t('packs.run.notyou')}</p>;
  return (
    <>
      <Choose api={api} name={name} version={version} before={before} faulty={(faults ?? []).length > 0} />
      {error !== null && value === null && <ErrorBox error={error} onRetry={again} />}
      {value === null && error === null && <Skeleton lines={4} />}
      {value?.runs.length === 0 && <p class="empty big-empty">{t('packs.run.none')}</p>}
      {value !== null && value.runs.length > 0 && (
        <div class="table-wrap">
          <table data-testid="pack-runs">
            <thead>
              <tr>
                {(['at', 'version', 'calls', 'state'] as const).map((col) => (
                  <th key={col} scope="col">
                    {t(`packs.rcol.${col}`)}
                  </th>
                ))}
              </tr>
            </thead>
            <tbody>
              {value.runs.map((run) => (
                <tr key={run.run_id}>
                  <td class="num">
                    <Link to={runPath(name, run.run_id)} class="row-link">
                      {moment(run.created_at, app.language.value, new Date())}
                    </Link>
                  </td>
                  <td class="num">{t('packs.run.against', { n: run.version, base: run.base_version })}</td>
                  <td>
                    <Chosen choice={run.choice} />
                  </td>
                  <td>
                    {t(`packs.run.state.${run.state}`)}
                    {isOpen(run) && run.total > 0 && (
                      <span class="num dim">
                        {' '}
                        {run.done}/{run.total}
                      </span>
                    )}
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

export function Chosen({ choice }: { choice: RunChoice }) {
  const t = useApp().t.value;
  return (
    <>
      {t('packs.run.last', { n: choice.limit })}
      {choice.state === 'reviewed' && ` · ${t('packs.run.reviewed')}`}
      {choice.language !== undefined && ` · ${t(choice.language === 'zh' ? 'packs.run.zh' : 'packs.run.en')}`}
      {choice.since !== undefined && ` · ${t('packs.run.since', { day: choice.since.slice(0, 10) })}`}
    </>
  );
}

function Choose({ api, name, version, before, faulty }: Omit<Props, 'faults'> & { faulty: boolean }) {
  const app = useApp();
  const t = app.t.value;
  const [limit, setLimit] = useState<number>(200);
  const [reviewed, setReviewed] = useState(false);
  const [language, setLanguage] = useState('');
  const [since, setSince] = useState('');
  const [busy, setBusy] = useState(false);
  const ended = version.state !== 'draft' && version.state !== 'published';
  const begin = async (): Promise<void> => {
    setBusy(true);
    try {
      if (!(await before())) throw new Error('not saved');
      const choice: RunChoice = {
        limit,
        ...(reviewed ? { state: 'reviewed' } : {}),
        ...(language === '' ? {} : { language }),
        ...(since === '' ? {} : { since }),
      };
      const run = await api.start(name, version.version, choice);
      app.go(runPath(name, run.run_id));
    } catch (e) {
      app.say(app.describe(e));
      setBusy(false);
    }
  };
  return (
    <section class="panel run-form" data-testid="run-form">
      <h2>{t(version.state === 'published' && name === 'compliance' ? 'packs.run.compare' : 'packs.run.title')}</h2>
      <p class="dim">{t('packs.run.intro')}</p>
      <div class="run-fields">
        <label>
          {t('packs.run.newest')}{' '}
          <select value={limit} data-testid="run-limit" onChange={(e) => setLimit(Number(e.currentTarget.value))}>
            {LIMITS.map((n) => (
              <option key={n} value={n}>
                {n}
              </option>
            ))}
          </select>
        </label>
        <label>
          {t('packs.run.language')}{' '}
          <select value={language} onChange={(e) => setLanguage(e.currentTarget.value)}>
            <option value="">{t('packs.run.any')}</option>
            <option value="zh">{t('packs.run.zh')}</option>
            <option value="en">{t('packs.run.en')}</option>
          </select>
        </label>
        <label>
          {t('packs.run.from')} <input type="date" value={since} onInput={(e) => setSince(e.currentTarget.value)} />
        </label>
        <label class="check">
          <input
            type="checkbox"
            data-testid="run-reviewed"
            checked={reviewed}
            onChange={(e) => setReviewed(e.currentTarget.checked)}
          />{' '}
          {t('packs.run.reviewed')}
        </label>
        <span class="grow" />
        <button
          type="button"
          class="primary"
          data-testid="run-start"
          disabled={busy || faulty || ended}
          onClick={() => void begin()}
        >
          {t('packs.run.start')}
        </button>
      </div>
      {faulty && <p class="bad">{t('packs.run.faulty')}</p>}
      {ended && <p class="dim">{t('packs.run.ended')}</p>}
    </section>
  );
}
