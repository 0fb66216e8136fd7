// The live board: every running call in sight of this supervisor, those that ask most for a look first. A row opens to the call itself.
import { memo } from 'preact/compat';
import { useCallback, useEffect, useMemo, useRef, useState } from 'preact/hooks';
import { connectionState, MoodDot } from '../agent/CallBar.tsx';
import type { BoardRow, Order } from '../core/board.ts';
import { ordered, settled } from '../core/board.ts';
import { clock, percent } from '../core/format.ts';
import type { EventOf } from '../core/protocol.ts';
import { useApp } from '../ui/app.ts';
import { Icon } from '../ui/icons.tsx';
import { typing } from '../ui/keys.ts';
import { Shell, Skeleton } from '../ui/Shell.tsx';
import { BoardCall } from './BoardCall.tsx';
import { BoardModel } from './boardmodel.ts';

export function BoardPage() {
  const app = useApp();
  const t = app.t.value;
  const model = useMemo(() => new BoardModel(app), [app]);
  const [order, setOrder] = useState<Order>('risk');
  const [team, setTeam] = useState('');
  const [open, setOpen] = useState<string | null>(null);
  const [picked, setPicked] = useState<string | null>(null);
  const [reading, setReading] = useState(false);
  const [now, setNow] = useState(Date.now());
  const list = useRef<HTMLOListElement>(null);

  useEffect(() => {
    model.start();
    const tick = setInterval(() => setNow(Date.now()), 1000);
    return () => {
      clearInterval(tick);
      model.stop();
    };
  }, [model]);

  const rows = model.rows.value;
  const wanted = useMemo(() => ordered(rows ?? new Map(), order, team), [rows, order, team]);
  const shown = useRef<readonly string[]>([]);
  shown.current = settled(shown.current, wanted, reading || open !== null);
  const ids = shown.current;
  const teams = useMemo(() => [...new Set([...(rows ?? []).values()].map((r) => r.team_id ?? ''))].sort(), [rows]);
  const toggle = useCallback((id: string): void => {
    setOpen((before) => (before === id ? null : id));
    setPicked(id);
  }, []);
  useEffect(() => {
    if (open !== null && rows !== null && !rows.has(open)) setOpen(null);
  }, [open, rows]);

  useEffect(() => {
    const onKey = (e: KeyboardEvent): void => {
      if (e.ctrlKey || e.metaKey || e.altKey || typing(e.target)) return;
      if (e.key === 'Escape' && open !== null) setOpen(null);
      else if (e.key === 'j' || e.key === 'k') {
        const at = ids.indexOf(picked ?? '');
        const next = ids[Math.min(ids.length - 1, Math.max(0, at + (e.key === 'j' ? 1 : -1)))];
        if (next === undefined) return;
        setPicked(next);
        list.current?.querySelector<HTMLButtonElement>(`[data-call-id="${CSS.escape(next)}"] .row-open`)?.focus();
      } else return;
      e.preventDefault();
    };
    document.addEventListener('keydown', onKey);
    return () => document.removeEventListener('keydown', onKey);
  }, [ids, picked, open]);

  const connection = model.feed.connection.value;
  const conn = connectionState(connection.phase, connection.everOnline);
  const critical = [...(rows ?? []).values()].filter((r) => (r.alerts.critical ?? 0) > 0).length;
  return (
    <Shell>
      <main id="main" class="calls board" data-testid="board-page">
        <header class="page-head">
          <h1>{t('board.title')}</h1>
          <span class="dim num" data-testid="board-count">
            {t('board.count', { n: ids.length, critical })}
          </span>
          <fieldset class="segmented">
            <legend class="sr-only">{t('board.order')}</legend>
            {(['risk', 'duration'] as const).map((o) => (
              <button key={o} type="button" aria-pressed={order === o} onClick={() => setOrder(o)}>
                {t(`board.order.${o}`)}
              </button>
            ))}
          </fieldset>
          {teams.length > 1 && (
            <select
              class="board-team"
              value={team}
              aria-label={t('board.team')}
              data-testid="board-team"
              onChange={(e) => setTeam(e.currentTarget.value)}
            >
              <option value="">{t('board.team.all')}</option>
              {teams.map((id) => (
                <option key={id} value={id}>
                  {id === '' ? t('board.team.none') : id}
                </option>
              ))}
            </select>
          )}
          <span class="grow" />
          <span class="dim wide-only">{t('board.keys')}</span>
          <span class={`conn ${conn}`} role="status" data-testid="connection" data-state={conn}>
            <i aria-hidden="true" />
            <span class={conn === 'online' ? 'sr-only' : ''}>{t(`conn.${conn}`)}</span>
          </span>
        </header>
        {model.refused.value && (
          <p class="empty big-empty" role="alert">
            {t('board.refused')}
          </p>
        )}
        {rows === null && !model.refused.value && <Skeleton lines={6} />}
        {rows !== null && ids.length === 0 && (
          <p class="empty big-empty" data-testid="board-empty">
            {t('board.empty')}
          </p>
        )}
        <ol
          class="board-rows"
          ref={list}
          data-stale={String(conn !== 'online')}
          onPointerEnter={(e) => e.pointerType === 'mouse' && setReading(true)}
          onPointerLeave={() => setReading(false)}
          onFocusCapture={() => setReading(true)}
          onBlurCapture={() => setReading(false)}
        >
          {ids.map((id) => {
            const row = rows?.get(id);
            if (row === undefined) return null;
            return (
              <li
                key={id}
                class={`board-row${open === id ? ' open' : ''}`}
                data-testid="board-row"
                data-call-id={id}
                data-risk={row.risk}
              >
                <Line
                  row={row}
                  seconds={Math.floor((now - Date.parse(row.started_at)) / 1000)}
                  held={heldFor(row, now)}
                  open={open === id}
                  onToggle={toggle}
                />
                {open === id && <BoardCall row={row} />}
              </li>
            );
          })}
        </ol>
      </main>
    </Shell>
  );
}

function heldFor(row: BoardRow, now: number): number {
  return row.held_since === null ? 0 : Math.max(1, Math.floor((now - Date.parse(row.held_since)) / 1000));
}

interface LineProps {
  row: BoardRow;
  seconds: number;
  /** Seconds on hold; 0: not held. */
  held: number;
  open: boolean;
  onToggle: (id: string) => void;
}

/** One line of hundreds: drawn again only when its own row, or its clock, has moved. */
const Line = memo(function Line({ row, seconds, held, open, onToggle }: LineProps) {
  const app = useApp();
  const t = app.t.value;
  const level = row.risk >= 0.6 ? 'high' : row.risk >= 0.3 ? 'mid' : 'low';
  const rule = app.labels.value.compliance_rules[row.last_rule];
  return (
    <button
      type="button"
      class="row-open"
      aria-expanded={open}
      data-testid="board-open"
      onClick={() => onToggle(row.call_id)}
    >
      <span class={`risk ${level}`} title={t('board.risk.why')}>
        <span class="sr-only">{t('board.risk')} </span>
        <span class="num">{percent(row.risk)}</span>
      </span>
      <strong class="board-agent">{row.agent_name || t('calls.noagent')}</strong>
      <span class="num board-time">{clock(seconds * 1000)}</span>
      <MoodDot mood={moodOf(row)} />
      <span class="board-intent">
        {row.intent === '' ? <span class="dim">{t('intent.waiting')}</span> : app.intentName(row.intent)}
        {row.skill !== '' && <span class="dim"> · {row.skill}</span>}
      </span>
      <span class="board-alerts">
        {(['critical', 'warn', 'info'] as const).map((severity) =>
          (row.alerts[severity] ?? 0) === 0 ? null : (
            <span key={severity} class={`alert-chip ${severity}`} title={rule?.name ?? row.last_rule}>
              <Icon name={severity === 'info' ? 'info' : 'alert'} size={12} />
              <span class="sr-only">{t(`alert.${severity}`)} </span>
              <span class="num">{row.alerts[severity]}</span>
            </span>
          ),
        )}
        {held > 0 && <span class="pill held num">{`${t('call.held')} ${clock(held * 1000)}`}</span>}
        {row.down.length > 0 && <Icon name="info" size={14} />}
      </span>
      <Icon name={open ? 'down' : 'right'} size={14} />
    </button>
  );
});

/** The row's estimate in the shape that the dot takes. */
function moodOf(row: BoardRow): EventOf<'mood_changed'> | undefined {
  if (row.mood === '' || row.mood_trend === '') return undefined;
  return {
    type: 'mood_changed',
    customer_turn: 0,
    utterance_id: '',
    at_ms: 0,
    mood: row.mood,
    confidence: row.mood_confidence,
    scores: [],
    trend: row.mood_trend,
    complaint_risk: row.complaint_risk,
    voice: null,
    why: [],
  };
}
