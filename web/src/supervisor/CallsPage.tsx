// The list of calls: newest first, narrowed by facets that stand in the address, walked by keyboard.
import { useCallback, useEffect, useMemo, useRef, useState } from 'preact/hooks';
import { addressOf, type Chosen, chosenOf, type FacetName } from '../console/figures.ts';
import { clock, moment, score } from '../core/format.ts';
import type { Call } from '../gen/types.ts';
import { ConsoleApi, type Facet, type Facets, type ListedCall } from '../net/console.ts';
import { useApp } from '../ui/app.ts';
import { HelpDialog } from '../ui/Help.tsx';
import { typing } from '../ui/keys.ts';
import { ErrorBox, Link, Shell, Skeleton } from '../ui/Shell.tsx';

const PHASES = ['all', 'live', 'ended'] as const;
const SCORES = ['fatal', '0', '60', '75', '85', '95'] as const;
const RISKS = ['high', 'watch', 'low'] as const;
const STATES = ['machine', 'reviewed'] as const;
const FORMATS = ['csv', 'xlsx', 'html'] as const;
const PAGE = 50;

export function CallsPage() {
  const app = useApp();
  const t = app.t.value;
  const api = useMemo(() => new ConsoleApi(app.api), [app]);
  const query = app.query.value;
  const chosen = useMemo(() => chosenOf(query), [query]);
  const [calls, setCalls] = useState<ListedCall[] | null>(null);
  const [cursor, setCursor] = useState<string | null>(null);
  const [count, setCount] = useState<{ calls: number; more_than: boolean } | null>(null);
  const [facets, setFacets] = useState<Facets | null>(null);
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
        const page = await api.calls({
          ...chosen,
          limit: PAGE,
          ...(from === null ? {} : { cursor: from }),
        });
        if (turn !== asked.current) return; // the facets have changed meanwhile
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
    [api, chosen],
  );

  useEffect(() => {
    setCalls(null);
    setCount(null);
    setPicked(0);
    void load(null);
  }, [load]);

  const { since, until } = chosen;
  useEffect(() => {
    // Without the facets' names the list still works; they are asked for again with the next choice.
    api
      .facets(since, until)
      .then(setFacets)
      .catch(() => undefined);
  }, [api, since, until]);

  // Live calls move; the first page is read again quietly while nobody is deep in the list.
  useEffect(() => {
    const timer = setInterval(async () => {
      if (document.hidden || (calls?.length ?? 0) > PAGE) return;
      const turn = asked.current;
      const page = await api.calls({ ...chosen, limit: PAGE }).catch(() => null);
      if (page === null || turn !== asked.current) return;
      setCalls(page.calls);
      setCursor(page.next_cursor);
      setError(null);
    }, 5000);
    return () => clearInterval(timer);
  }, [api, chosen, calls?.length]);

  useEffect(() => {
    const onKey = (e: KeyboardEvent): void => {
      if (e.ctrlKey || e.metaKey || e.altKey || typing(e.target) || help) return;
      const rows = calls?.length ?? 0;
      if (e.key === '?') setHelp(true);
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

  const choose = (name: FacetName, value: string): void => app.go(addressOf({ ...chosen, [name]: value || undefined }));
  const narrowed = Object.keys(chosen).length > 0;
  const supervisor = app.session.value?.user.roles.some((r) =>
    ['team_lead', 'inspector', 'qa_lead', 'ops_admin'].includes(r),
  );
  return (
    <Shell>
      <main id="main" class="calls" data-testid="calls-page">
        <header class="page-head">
          <h1>{t('calls.title')}</h1>
          <fieldset class="segmented">
            <legend class="sr-only">{t('calls.filter')}</legend>
            {PHASES.map((p) => (
              <button
                key={p}
                type="button"
                aria-pressed={(chosen.phase ?? 'all') === p}
                data-testid={`filter-${p}`}
                onClick={() => choose('phase', p === 'all' ? '' : p)}
              >
                {t(`calls.filter.${p}`)}
              </button>
            ))}
          </fieldset>
          {count !== null && (
            <span class="dim num" data-testid="calls-count">
              {t(count.more_than ? 'calls.count.more' : 'calls.count', { n: count.calls.toLocaleString() })}
            </span>
          )}
          <span class="grow" />
          {supervisor && <Export api={api} chosen={chosen} />}
          <span class="dim wide-only">{t('calls.keys')}</span>
        </header>
        <FacetBar chosen={chosen} facets={facets} onChoose={choose} />
        {error !== null && <ErrorBox error={error} onRetry={() => void load(null)} />}
        {calls === null && error === null && <Skeleton lines={8} />}
        {calls !== null && calls.length === 0 && (
          <p class="empty big-empty" data-testid="calls-empty">
            {t(narrowed ? 'calls.empty.filtered' : 'calls.empty')}
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
                  <Row key={call.call_id} call={call} picked={i === picked} onPick={() => setPicked(i)} />
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

function FacetBar({
  chosen,
  facets,
  onChoose,
}: {
  chosen: Chosen;
  facets: Facets | null;
  onChoose: (name: FacetName, value: string) => void;
}) {
  const app = useApp();
  const t = app.t.value;
  const named = (list: readonly Facet[] | undefined, name: (f: Facet) => string): [string, string][] =>
    (list ?? []).filter((f) => f.key !== '').map((f) => [f.key, `${name(f)}（${f.calls}）`]);
  const lists: [Exclude<FacetName, 'phase'>, [string, string][]][] = [
    ['team', named(facets?.teams, (f) => f.name ?? f.key)],
    ['agent', named(facets?.agents, (f) => f.name ?? f.key)],
    [
      'ticket',
      named(facets?.tickets, (f) => app.categoryName(f.key)).map(([key, text]): [string, string] => [`/${key}`, text]),
    ],
    ['intent', named(facets?.intents, (f) => app.intentName(f.key))],
    ['score', SCORES.map((s) => [s, t(`console.band.${s}`)])],
    ['risk', RISKS.map((r) => [r, t(`calls.risk.${r}`)])],
    ['state', STATES.map((s) => [s, t(`calls.state.${s}`)])],
  ];
  const any = Object.keys(chosen).some((name) => name !== 'phase');
  return (
    <search class="facets" aria-label={t('calls.facets')} data-testid="facets">
      {lists.map(([name, options]) => {
        const value = chosen[name] ?? '';
        const known = options.some(([key]) => key === value);
        return (
          <label key={name} class={value === '' ? 'facet' : 'facet on'}>
            <span class="sr-only">{t(`calls.facet.${name}`)}</span>
            <select value={value} data-testid={`facet-${name}`} onChange={(e) => onChoose(name, e.currentTarget.value)}>
              <option value="">{t(`calls.facet.${name}`)}</option>
              {options.map(([key, text]) => (
                <option key={key} value={key}>
                  {text}
                </option>
              ))}
              {value !== '' && !known && (
                <option value={value}>
                  {name === 'ticket' ? app.categoryName(value.split('/').at(-1) ?? '') : value}
                </option>
              )}
            </select>
          </label>
        );
      })}
      {(['since', 'until'] as const).map((name) => (
        <label key={name} class={chosen[name] === undefined ? 'facet' : 'facet on'}>
          <span class="dim">{t(`calls.facet.${name}`)}</span>
          <input
            type="date"
            value={chosen[name] ?? ''}
            data-testid={`facet-${name}`}
            onChange={(e) => onChoose(name, e.currentTarget.value)}
          />
        </label>
      ))}
      {any && (
        <Link to={addressOf(chosen.phase === undefined ? {} : { phase: chosen.phase })} class="facet-clear">
          {t('calls.facet.clear')}
        </Link>
      )}
    </search>
  );
}

function Export({ api, chosen }: { api: ConsoleApi; chosen: Chosen }) {
  const app = useApp();
  const t = app.t.value;
  const [busy, setBusy] = useState(false);
  const save = async (format: (typeof FORMATS)[number]): Promise<void> => {
    setBusy(true);
    app.say(t('calls.export.busy'));
    try {
      await api.export({ ...chosen }, format, app.language.value);
    } catch (e) {
      app.say(app.describe(e));
    } finally {
      setBusy(false);
    }
  };
  return (
    <label class="facet">
      <span class="sr-only">{t('calls.export')}</span>
      <select
        value=""
        disabled={busy}
        data-testid="export"
        onChange={(e) => {
          const format = FORMATS.find((f) => f === e.currentTarget.value);
          e.currentTarget.value = '';
          if (format !== undefined) void save(format);
        }}
      >
        <option value="">{t('calls.export')}</option>
        {FORMATS.map((f) => (
          <option key={f} value={f}>
            {t(`calls.export.${f}`)}
          </option>
        ))}
      </select>
    </label>
  );
}

/** The name when the server sends one beside the id; else enough of the id to tell people apart. */
export function agentName(call: Call & { agent_name?: string }, fallback: string): string {
  if (call.agent_name) return call.agent_name;
  if (call.agent_id === null) return fallback;
  return call.agent_id.length > 12 ? `${call.agent_id.slice(0, 8)}…` : call.agent_id;
}

/** Which way and by which line a call came. The caller's number is not for lists. */
export function lineOf(call: Call, outbound: string): string {
  return [call.direction === 'outbound' ? outbound : '', call.skill, call.dnis].filter((s) => s !== '').join(' · ');
}

function Row({ call, picked, onPick }: { call: ListedCall; picked: boolean; onPick: () => void }) {
  const app = useApp();
  const t = app.t.value;
  const to = `/calls/${encodeURIComponent(call.call_id)}`;
  return (
    <tr
      class={picked ? 'picked' : undefined}
      data-testid="call-row"
      data-call-id={call.call_id}
      data-phase={call.phase}
      onClick={(e) => {
        if (!(e.target instanceof HTMLAnchorElement)) app.go(to);
      }}
      onFocusCapture={onPick}
    >
      <td class="num">
        <Link to={to} class="row-link">
          {moment(call.started_at, app.language.value, new Date()) || call.call_id}
        </Link>
      </td>
      <td title={call.agent_id ?? undefined}>{agentName(call, t('calls.noagent'))}</td>
      <td data-testid="call-line">{lineOf(call, t('call.direction.outbound')) || <span class="dim">–</span>}</td>
      <td class="num right">{clock(call.duration_ms)}</td>
      <td class="wrap">
        {call.intents.slice(0, 3).map((i) => (
          <span key={i} class="chip static">
            {app.intentName(i)}
          </span>
        ))}
        {call.intents.length > 3 && <span class="dim num"> +{call.intents.length - 3}</span>}
      </td>
      <td>{call.ticket_level2 === '' ? <span class="dim">–</span> : app.categoryName(call.ticket_level2)}</td>
      <td class="num right">
        {call.qa_score === null ? (
          <span class="dim">–</span>
        ) : (
          <span class={`score-cell${call.qa_fatal || call.qa_score < 60 ? ' bad' : ''}`}>
            {call.qa_state === 'reviewed' && (
              <span class="reviewed-mark" title={t('review.reviewed')}>
                ✓<span class="sr-only">{t('review.reviewed')}</span>{' '}
              </span>
            )}
            {score(call.qa_score)}
          </span>
        )}
      </td>
      <td class={`num right${call.risk >= 60 ? ' bad' : ''}`}>{call.risk || <span class="dim">–</span>}</td>
      <td class="num right">
        {call.suggestions === 0 ? (
          <span class="dim">–</span>
        ) : (
          `${Math.min(call.suggestions_used, call.suggestions)}/${call.suggestions}`
        )}
      </td>
      <td class="num right">
        {call.alerts === 0 ? <span class="dim">–</span> : <span class="alert-count">{call.alerts}</span>}
      </td>
      <td>
        <span class={`phase ${call.phase}`}>
          <i aria-hidden="true" /> {t(call.held ? 'call.held' : `call.${call.phase}`)}
        </span>
      </td>
    </tr>
  );
}
