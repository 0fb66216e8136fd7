// A call in the list, and under it the lines in which something was found.
import { clock, moment, score } from '../core/format.ts';
import type { Call } from '../gen/types.ts';
import type { FoundCall, Match } from '../net/console.ts';
import { useApp } from '../ui/app.ts';
import { Rich } from '../ui/Rich.tsx';
import { Link } from '../ui/Shell.tsx';

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

export function Row({ call, picked, onPick }: { call: FoundCall; picked: boolean; onPick: () => void }) {
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

export const COLUMNS = 11;

/** Where the words were said; each leads to its place in the call. */
export function Matches({ call }: { call: FoundCall }) {
  const t = useApp().t.value;
  const matches = call.matches ?? [];
  if (matches.length === 0) return null;
  const page = `/calls/${encodeURIComponent(call.call_id)}`;
  return (
    <tr class="found-lines">
      <td colSpan={COLUMNS}>
        <ul data-testid="matches" data-call-id={call.call_id}>
          {matches.map((match) => (
            <li key={`${match.utterance_id} ${match.text}`}>
              <Link
                to={match.utterance_id === '' ? page : `${page}?at=${encodeURIComponent(match.utterance_id)}`}
                class={match.channel === '' ? 'found-at' : `found-at of-${match.channel}`}
              >
                {match.channel === '' ? (
                  t('artifact.summary')
                ) : (
                  <>
                    {t(`channel.${match.channel}`)} <span class="num">{clock(match.start_ms)}</span>
                  </>
                )}
              </Link>{' '}
              <Marked match={match} />
            </li>
          ))}
        </ul>
      </td>
    </tr>
  );
}

function Marked({ match }: { match: Match }) {
  const chars = [...match.text];
  const parts: { text: string; hit: boolean }[] = [];
  let at = 0;
  for (const [start, end] of match.marks) {
    parts.push(
      { text: chars.slice(at, start).join(''), hit: false },
      { text: chars.slice(start, end).join(''), hit: true },
    );
    at = end;
  }
  parts.push({ text: chars.slice(at).join(''), hit: false });
  return (
    <span>
      {parts.map((part, i) => (part.hit ? <mark key={i}>{part.text}</mark> : <Rich key={i} text={part.text} />))}
    </span>
  );
}
