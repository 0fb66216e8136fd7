// The newest calls behind a figure, each with its sentence; a line leads to that sentence in the call, where it can be heard.
import { useCallback } from 'preact/hooks';
import { clock, moment } from '../core/format.ts';
import type { Query } from '../net/api.ts';
import type { InsightsApi } from '../net/insights.ts';
import { useLoaded } from '../review/QueuePage.tsx';
import { useApp } from '../ui/app.ts';
import { Dialog } from '../ui/Dialog.tsx';
import { Rich } from '../ui/Rich.tsx';
import { ErrorBox, Link, Skeleton } from '../ui/Shell.tsx';
import { addressOf } from './figures.ts';
import type { Shown } from './InsightsPage.tsx';

/** Where a sentence of a call can be read and heard. */
export function sentenceAddress(callId: string, utteranceId: string): string {
  const page = `/calls/${encodeURIComponent(callId)}`;
  return utteranceId === '' ? page : `${page}?at=${encodeURIComponent(utteranceId)}`;
}

export function Evidence({
  api,
  asked,
  shown,
  onClose,
}: {
  api: InsightsApi;
  asked: Query;
  shown: Shown;
  onClose: () => void;
}) {
  const app = useApp();
  const t = app.t.value;
  const { value, error, again } = useLoaded(
    useCallback(() => api.evidence(asked, shown.about, shown.key, shown.agent), [api, asked, shown]),
  );
  return (
    <Dialog title={t('center.evidence', { name: shown.name })} onClose={onClose} testid="insights-evidence" wide>
      {error !== null && value === null && <ErrorBox error={error} onRetry={again} />}
      {value === null && error === null && <Skeleton lines={6} />}
      {value !== null && value.calls.length === 0 && <p class="empty">{t('center.evidence.none')}</p>}
      {value !== null && value.calls.length > 0 && (
        <ul class="plain-list evidence-list">
          {value.calls.map((call) => (
            <li key={`${call.call_id}-${call.utterance_id}`}>
              <Link to={sentenceAddress(call.call_id, call.utterance_id)} class="row-link">
                <span class="num">{moment(call.started_at, app.language.value, new Date())}</span>
                {call.agent_name !== '' && <span>{call.agent_name}</span>}
                {call.utterance_id !== '' && <span class="num dim">{clock(call.at_ms)}</span>}
                {call.upset && <span class="chip static bad">{t('center.upset')}</span>}
              </Link>
              {call.text !== '' && (
                <p class="dim">
                  <Rich text={call.text} />
                </p>
              )}
            </li>
          ))}
        </ul>
      )}
      {shown.about === 'topic' && (
        <p>
          <Link
            to={addressOf({
              ticket: `/${shown.key}`,
              since: String(asked.since),
              until: String(asked.until),
              ...(asked.team ? { team: String(asked.team) } : {}),
            })}
          >
            {t('center.all_calls')}
          </Link>
        </p>
      )}
    </Dialog>
  );
}
