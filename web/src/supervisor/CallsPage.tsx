// The list of calls: newest first, filtered by phase, walked by keyboard.
import { useCallback, useEffect, useRef, useState } from 'preact/hooks';
import { clock, moment, score } from '../core/format.ts';
import type { Artifact, Call, QaScorecard, TicketClassification } from '../gen/types.ts';
import { useApp } from '../ui/app.ts';
import { HelpDialog } from '../ui/Help.tsx';
import { typing } from '../ui/keys.ts';
import { ErrorBox, Link, Shell, Skeleton } from '../ui/Shell.tsx';

type Filter = 'all' | 'live' | 'ended';
const FILTERS: readonly Filter[] = ['all', 'live', 'ended'];
const PAGE = 50;
/** Rows whose artifacts are asked for at the same time. */
const PARALLEL = 4;

export function CallsPage() {
  const app = useApp();
  const t = app.t.value;
  const [filter, setFilter] = useState<Filter>('all');
  const [calls, setCalls] = useState<Call[] | null>(null);
  const [cursor, setCursor] = useState<string | null>(null);
  const [error, setError] = useState<unknown>(null);
  const [busy, setBusy] = useState(false);
  const [picked, setPicked] = useState(0);
  const [help, setHelp] = useState(false);
  const [artifacts, setArtifacts] = useState<Record<string, Artifact[]>>({});
  const asked = useRef(new Set<string>());
  const body = useRef<HTMLTableSectionElement>(null);

  const load = useCallback(
    async (phase: Filter, from: string | null): Promise<void> => {
      setBusy(true);
      setError(null);
      try {
        const page = await app.api.calls({
          limit: PAGE,
          ...(phase === 'all' ? {} : { phase }),
          ...(from === null ? {} : { cursor: from }),
        });
        setCalls((before) => (from === null ? page.calls : [...(before ?? []), ...page.calls]));
        setCursor(page.next_cursor);
      } catch (e) {
        setError(e);
      } finally {
        setBusy(false);
      }
    },
    [app],
  );

  useEffect(() => {
    setCalls(null);
    setPicked(0);
    void load(filter, null);
  }, [filter, load]);

  // Live calls move; the first page is read again quietly while nobody is deep in the list.
  useEffect(() => {
    const timer = setInterval(async () => {
      if (document.hidden || (calls?.length ?? 0) > PAGE) return;
      try {
        const page = await app.api.calls({ limit: PAGE, ...(filter === 'all' ? {} : { phase: filter }) });
        setCalls(page.calls);
        setCursor(page.next_cursor);
        setError(null);
      } catch {
        // The next round tries again; what is shown stays.
      }
    }, 5000);
    return () => clearInterval(timer);
  }, [app, filter, calls?.length]);

  useEffect(() => {
    const wanted = (calls ?? []).filter(
      (c) => c.artifacts.some((k) => k === 'ticket' || k === 'qa') && !asked.current.has(`${c.call_id}/${c.last_seq}`),
    );
    for (const c of wanted) asked.current.add(`${c.call_id}/${c.last_seq}`);
    const queue = [...wanted];
    const worker = async (): Promise<void> => {
      for (let call = queue.shift(); call !== undefined; call = queue.shift()) {
        const id = call.call_id;
        const found = await app.api.artifacts(id).catch(() => null);
        if (found !== null) setArtifacts((before) => ({ ...before, [id]: found.artifacts }));
      }
    };
    void Promise.all(Array.from({ length: PARALLEL }, worker));
  }, [app, calls]);

  useEffect(() => {
    const onKey = (e: KeyboardEvent): void => {
      if (e.ctrlKey || e.metaKey || e.altKey || typing(e.target) || help) return;
      const count = calls?.length ?? 0;
      if (e.key === '?') setHelp(true);
      else if (e.key === 'j' || e.key === 'k') {
        const next = Math.min(count - 1, Math.max(0, picked + (e.key === 'j' ? 1 : -1)));
        setPicked(next);
        body.current?.querySelectorAll<HTMLAnchorElement>('a.row-link')[next]?.focus();
      } else return;
      e.preventDefault();
    };
    document.addEventListener('keydown', onKey);
    return () => document.removeEventListener('keydown', onKey);
  }, [calls, picked, help]);

  return (
    <Shell>
      <main id="main" class="calls" data-testid="calls-page">
        <header class="page-head">
          <h1>{t('calls.title')}</h1>
          <fieldset class="segmented">
            <legend class="sr-only">{t('calls.filter')}</legend>
            {FILTERS.map((f) => (
              <button
                key={f}
                type="button"
                aria-pressed={filter === f}
                data-testid={`filter-${f}`}
                onClick={() => setFilter(f)}
              >
                {t(`calls.filter.${f}`)}
              </button>
            ))}
          </fieldset>
          <span class="grow" />
          <span class="dim wide-only">{t('calls.keys')}</span>
        </header>
        {error !== null && <ErrorBox error={error} onRetry={() => void load(filter, null)} />}
        {calls === null && error === null && <Skeleton lines={8} />}
        {calls !== null && calls.length === 0 && (
          <p class="empty big-empty" data-testid="calls-empty">
            {t(filter === 'all' ? 'calls.empty' : 'calls.empty.filtered')}
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
                  <Row
                    key={call.call_id}
                    call={call}
                    artifacts={artifacts[call.call_id] ?? []}
                    picked={i === picked}
                    onPick={() => setPicked(i)}
                  />
                ))}
              </tbody>
            </table>
          </div>
        )}
        {cursor !== null && (
          <p class="more">
            <button type="button" disabled={busy} data-testid="calls-more" onClick={() => void load(filter, cursor)}>
              {t(busy ? 'common.loading' : 'calls.more')}
            </button>
          </p>
        )}
      </main>
      {help && <HelpDialog onClose={() => setHelp(false)} />}
    </Shell>
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

function Row({
  call,
  artifacts,
  picked,
  onPick,
}: {
  call: Call;
  artifacts: readonly Artifact[];
  picked: boolean;
  onPick: () => void;
}) {
  const app = useApp();
  const t = app.t.value;
  const ticket = artifacts.find((a) => a.kind === 'ticket')?.body as TicketClassification | undefined;
  const qa = artifacts.find((a) => a.kind === 'qa')?.body as QaScorecard | undefined;
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
      <td>{ticket === undefined ? <span class="dim">–</span> : app.categoryName(ticket.level2)}</td>
      <td class="num right">
        {qa === undefined ? (
          <span class="dim">–</span>
        ) : (
          <span class={`score-cell${qa.fatal || qa.score < 60 ? ' bad' : ''}`}>{score(qa.score)}</span>
        )}
      </td>
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
