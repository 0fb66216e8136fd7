// The messages of one webhook, newest first: what was sent, how often, what the receiver answered, and sending again.
import { useCallback, useEffect, useState } from 'preact/hooks';
import { moment } from '../core/format.ts';
import type { WebhookMessage } from '../net/api.ts';
import { useApp } from '../ui/app.ts';
import { ErrorBox, Skeleton } from '../ui/Shell.tsx';
import { stateOf } from './Webhooks.tsx';

export function DeliveryLog({ subscriptionId }: { subscriptionId: string }) {
  const app = useApp();
  const t = app.t.value;
  const [messages, setMessages] = useState<WebhookMessage[] | null>(null);
  const [cursor, setCursor] = useState<string | null>(null);
  const [error, setError] = useState<unknown>(null);
  const load = useCallback(
    async (from: string | null): Promise<void> => {
      try {
        const page = await app.api.webhookMessages(subscriptionId, from);
        setMessages((before) => (from === null ? page.messages : [...(before ?? []), ...page.messages]));
        setCursor(page.next_cursor);
        setError(null);
      } catch (e) {
        setError(e);
      }
    },
    [app, subscriptionId],
  );
  useEffect(() => void load(null), [load]);
  const act = async (work: () => Promise<unknown>): Promise<void> => {
    try {
      await work();
      app.say(t('webhooks.replay.sent'));
      await load(null);
    } catch (e) {
      app.say(app.describe(e));
    }
  };
  if (error !== null) return <ErrorBox error={error} onRetry={() => void load(null)} />;
  if (messages === null) return <Skeleton lines={3} />;
  if (messages.length === 0) return <p class="empty">{t('webhooks.log.empty')}</p>;
  return (
    <>
      <p class="actions">
        <button type="button" class="small" onClick={() => void load(null)}>
          {t('webhooks.refresh')}
        </button>
        {messages.some((m) => m.state === 'failed') && (
          <button
            type="button"
            class="small"
            data-testid="replay-failed"
            onClick={() => void act(() => app.api.replayFailed(subscriptionId))}
          >
            {t('webhooks.replay.failed')}
          </button>
        )}
      </p>
      <div class="table-wrap">
        <table>
          <thead>
            <tr>
              <th scope="col">{t('webhooks.col.time')}</th>
              <th scope="col">{t('webhooks.col.event')}</th>
              <th scope="col">{t('webhooks.col.state')}</th>
              <th scope="col" class="right">
                {t('webhooks.col.attempts')}
              </th>
              <th scope="col" class="right">
                HTTP
              </th>
              <th scope="col">{t('webhooks.col.error')}</th>
              <th scope="col">
                <span class="sr-only">{t('webhooks.replay')}</span>
              </th>
            </tr>
          </thead>
          <tbody>
            {messages.map((m) => (
              <tr key={m.message_id} data-testid="webhook-message" data-state={m.state}>
                <td class="num" title={m.message_id}>
                  {moment(m.created_at, app.language.value, new Date())}
                </td>
                <td>{app.word(`webhooks.event.${m.event}`, m.event)}</td>
                <td>{t(`webhooks.state.${stateOf(m)}`, { at: moment(m.next_at, app.language.value, new Date()) })}</td>
                <td class="num right">{m.attempts}</td>
                <td class="num right">{m.status ?? '–'}</td>
                <td class="wrap">{m.error}</td>
                <td class="right">
                  {m.state !== 'withdrawn' && (
                    <button
                      type="button"
                      class="quiet small"
                      onClick={() => void act(() => app.api.replay(m.message_id))}
                    >
                      {t('webhooks.replay')}
                    </button>
                  )}
                </td>
              </tr>
            ))}
          </tbody>
        </table>
      </div>
      {cursor !== null && (
        <p class="more">
          <button type="button" onClick={() => void load(cursor)}>
            {t('calls.more')}
          </button>
        </p>
      )}
    </>
  );
}
