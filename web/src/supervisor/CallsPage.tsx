// The list of calls: newest first, narrowed by facets and searched by what was said, both in the address, walked by keyboard.
import { Fragment } from 'preact';
import { useCallback, useEffect, useMemo, useRef, useState } from 'preact/hooks';
import { addressOf, type FacetName, type Mode, searching, soughtOf } from '../console/figures.ts';
import { ConsoleApi, type FoundCall } from '../net/console.ts';
import { useApp } from '../ui/app.ts';
import { HelpDialog } from '../ui/Help.tsx';
import { typing } from '../ui/keys.ts';
import { ErrorBox, Shell, Skeleton } from '../ui/Shell.tsx';
import { type Counts, Export, FacetBar } from './CallFacets.tsx';
import { Matches, Row } from './CallRow.tsx';
import { SearchBox } from './CallSearch.tsx';

const PHASES = ['all', 'live', 'ended'] as const;
const PAGE = 50;
const FOUND_PAGE = 20;

export function CallsPage() {
  const app = useApp();
  const t = app.t.value;
  const api = useMemo(() => new ConsoleApi(app.api), [app]);
  const query = app.query.value;
  const sought = useMemo(() => soughtOf(query), [query]);
  const { q, mode, picked: chosen } = sought;
  const found = searching(sought);
  const [calls, setCalls] = useState<FoundCall[] | null>(null);
  const [cursor, setCursor] = useState<string | null>(null);
  const [count, setCount] = useState<{ calls: number; more_than: boolean } | null>(null);
  const [counts, setCounts] = useState<Counts>({});
  const [catchingUp, setCatchingUp] = useState(false);
  const [error, setError] = useState<unknown>(null);
  const [busy, setBusy] = useState(false);
  const [picked, setPicked] = useState(0);
  const [help, setHelp] = useState(false);
  const body = useRef<HTMLTableSectionElement>(null);
  const asked = useRef(0);

  const load = useCallback(
    async (from: string | null): Promise<void> => {
      asked.current += 1;
      const turn = asked.current;
      setBusy(true);
      setError(null);
      try {
        const more = from === null ? {} : { cursor: from };
        if (found) {
          const { phase: _, ...facets } = chosen; // only calls that have ended are found
          const page = await api.search({ ...facets, q, mode, limit: FOUND_PAGE, facets: from === null, ...more });
          if (turn !== asked.current) return; // the question has changed meanwhile
          setCalls((before) => (from === null ? page.calls : [...(before ?? []), ...page.calls]));
          setCursor(page.next_cursor);
          setCount({ calls: page.total, more_than: false });
          setCatchingUp(page.catching_up);
          if (page.facets !== null) setCounts(page.facets);
          return;
        }
        const page = await api.calls({ ...chosen, limit: PAGE, ...more });
        if (turn !== asked.current) return;
        setCalls((before) => (from === null ? page.calls : [...(before ?? []), ...page.calls]));
        setCursor(page.next_cursor);
        // Counting reads more rows than a page does: nobody waits for it.
        if (from === null) {
          const counted = await api.calls({ ...chosen, limit: 1, count: true }).catch(() => null);
          if (turn === asked.current) setCount(counted?.count ?? null);
        }
      } catch (e) {
        if (turn === asked.current) setError(e);
      } finally {
        if (turn === asked.current) setBusy(false);
      }
    },
    [api, chosen, q, mode, found],
  );

  useEffect(() => {
    setCalls(null);
    setCount(null);
    setPicked(0);
    void load(null);
  }, [load]);

  const [since, until] = [chosen.since?.[0], chosen.until?.[0]];
  useEffect(() => {
    if (found) return; // the answer has counts of its own
    // Without the facets' names the list still works; they are asked for again with the next choice.
    api
      .facets(since, until)
      .then(({ teams, agents, intents, tickets }) => {
        const second = tickets.filter((f) => f.key !== '').map((f) => ({ ...f, key: `/${f.key}` }));
        setCounts({ team: teams, agent: agents, intent: intents, ticket: second });
      })
      .catch(() => undefined);
  }, [api, since, until, found]);

  // Live calls move; the first page is read again quietly while nobody is deep in the list.
  useEffect(() => {
    const timer = setInterval(async () => {
      if (document.hidden || found || (calls?.length ?? 0) > PAGE) return;
      const turn = asked.current;
      const page = await api.calls({ ...chosen, limit: PAGE }).catch(() => null);
      if (page === null || turn !== asked.current) return;
      setCalls(page.calls);
      setCursor(page.next_cursor);
      setError(null);
    }, 5000);
    return () => clearInterval(timer);
  }, [api, chosen, found, calls?.length]);

  useEffect(() => {
    const onKey = (e: KeyboardEvent): void => {
      if (e.ctrlKey || e.metaKey || e.altKey || typing(e.target) || help) return;
      const rows = calls?.length ?? 0;
      if (e.key === '?') setHelp(true);
      else if (e.key === '/') document.querySelector<HTMLInputElement>('[data-shortcut="/"]')?.focus();
      else if (e.key === 'j' || e.key === 'k') {
        const next = Math.min(rows - 1, Math.max(0, picked + (e.key === 'j' ? 1 : -1)));
        setPicked(next);
        body.current?.querySelectorAll<HTMLAnchorElement>('a.row-link')[next]?.focus();
      } else return;
      e.preventDefault();
    };
    document.addEventListener('keydown', onKey);
    return () => document.removeEventListener('keydown', onKey);
  }, [calls, picked, help]);

  const choose = (name: FacetName, values: readonly string[]): void =>
    app.go(addressOf({ ...chosen, [name]: values.length === 0 ? undefined : values }, q, mode));
  const seek = (text: string, how: Mode): void => app.go(addressOf(chosen, text, how));
  const narrowed = Object.keys(chosen).length > 0;
  const supervisor = app.session.value?.user.roles.some((r) =>
    ['team_lead', 'inspector', 'qa_lead', 'ops_admin'].includes(r),
  );
  return (
    <Shell>
      <main id="main" class="calls" data-testid="calls-page">
        <header class="page-head">
          <h1>{t('calls.title')}</h1>
          {!found && (
            <fieldset class="segmented">
              <legend class="sr-only">{t('calls.filter')}</legend>
              {PHASES.map((p) => (
                <button
                  key={p}
                  type="button"
                  aria-pressed={(chosen.phase?.[0] ?? 'all') === p}
                  data-testid={`filter-${p}`}
                  onClick={() => choose('phase', p === 'all' ? [] : [p])}
                >
                  {t(`calls.filter.${p}`)}
                </button>
              ))}
            </fieldset>
          )}
          <span class="dim num" role="status" data-testid="calls-count">
            {count !== null &&
              t(
                count.more_than
                  ? 'calls.count.more'
                  : !found
                    ? 'calls.count'
                    : q !== '' && mode === 'meaning'
                      ? 'calls.search.nearest'
                      : 'calls.search.count',
                { n: count.calls.toLocaleString() },
              )}
          </span>
          <span class="grow" />
          {supervisor && found && (
            <Export api={api} path="/console/search/export" query={{ ...chosen, phase: undefined, q, mode }} />
          )}
          {supervisor && !found && <Export api={api} path="/console/calls/export" query={{ ...chosen }} />}
          <span class="dim wide-only">{t('calls.keys')}</span>
        </header>
        <SearchBox sought={sought} onSeek={seek} />
        <FacetBar
          picked={chosen}
          counts={counts}
          found={found}
          onPick={choose}
          cleared={addressOf(chosen.phase === undefined ? {} : { phase: chosen.phase }, q, mode)}
        />
        {found && catchingUp && error === null && (
          <p class="notice" role="status" data-testid="catching-up">
            {t('calls.search.catching_up')}
          </p>
        )}
        {error !== null && <ErrorBox error={error} onRetry={() => void load(null)} />}
        {calls === null && error === null && <Skeleton lines={8} />}
        {calls !== null && calls.length === 0 && (
          <p class="empty big-empty" data-testid="calls-empty">
            {t(q !== '' ? 'calls.search.empty' : narrowed ? 'calls.empty.filtered' : 'calls.empty')}
          </p>
        )}
        {calls !== null && calls.length > 0 && (
          <div class="table-wrap">
            <table>
              <thead>
                <tr>
                  <th scope="col">{t('calls.col.time')}</th>
                  <th scope="col">{t('calls.col.agent')}</th>
                  <th scope="col">{t('calls.col.line')}</th>
                  <th scope="col" class="right">
                    {t('calls.col.duration')}
                  </th>
                  <th scope="col">{t('calls.col.intents')}</th>
                  <th scope="col">{t('calls.col.ticket')}</th>
                  <th scope="col" class="right">
                    {t('calls.col.qa')}
                  </th>
                  <th scope="col" class="right">
                    {t('calls.col.risk')}
                  </th>
                  <th scope="col" class="right">
                    {t('calls.col.used')}
                  </th>
                  <th scope="col" class="right">
                    {t('calls.col.alerts')}
                  </th>
                  <th scope="col">{t('calls.col.phase')}</th>
                </tr>
              </thead>
              <tbody ref={body}>
                {calls.map((call, i) => (
                  <Fragment key={call.call_id}>
                    <Row call={call} picked={i === picked} onPick={() => setPicked(i)} />
                    <Matches call={call} />
                  </Fragment>
                ))}
              </tbody>
            </table>
          </div>
        )}
        {cursor !== null && (
          <p class="more">
            <button type="button" disabled={busy} data-testid="calls-more" onClick={() => void load(cursor)}>
              {t(busy ? 'common.loading' : 'calls.more')}
            </button>
          </p>
        )}
      </main>
      {help && <HelpDialog onClose={() => setHelp(false)} />}
    </Shell>
  );
}
