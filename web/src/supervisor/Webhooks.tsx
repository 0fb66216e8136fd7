// Webhooks: where this organisation's events are sent, and what became of each message.
import { useCallback, useEffect, useState } from 'preact/hooks';
import { moment } from '../core/format.ts';
import type { Webhook, WebhookMessage, WebhookPage } from '../net/api.ts';
import { useApp } from '../ui/app.ts';
import { Dialog } from '../ui/Dialog.tsx';
import { ErrorBox, Shell, Skeleton } from '../ui/Shell.tsx';
import { DeliveryLog } from './DeliveryLog.tsx';

export function WebhooksPage() {
  const app = useApp();
  const t = app.t.value;
  const [page, setPage] = useState<WebhookPage | null>(null);
  const [error, setError] = useState<unknown>(null);
  const [secret, setSecret] = useState<string | null>(null);
  const [making, setMaking] = useState(false);
  const [removing, setRemoving] = useState<Webhook | null>(null);
  const [opened, setOpened] = useState<string | null>(null);

  const load = useCallback(async (): Promise<void> => {
    try {
      setPage(await app.api.webhooks());
      setError(null);
    } catch (e) {
      setError(e);
    }
  }, [app]);
  useEffect(() => void load(), [load]);

  const act = async (work: () => Promise<unknown>, said?: string): Promise<void> => {
    try {
      await work();
      if (said !== undefined) app.say(said);
      await load();
    } catch (e) {
      app.say(app.describe(e));
    }
  };

  return (
    <Shell>
      <main id="main" class="calls webhooks" data-testid="webhooks-page">
        <header class="page-head">
          <h1>{t('webhooks.title')}</h1>
          <span class="grow" />
          <button type="button" class="primary" data-testid="webhook-new" onClick={() => setMaking(true)}>
            {t('webhooks.new')}
          </button>
        </header>
        <p class="dim">{t('webhooks.about')}</p>
        {error !== null && <ErrorBox error={error} onRetry={() => void load()} />}
        {page === null && error === null && <Skeleton lines={5} />}
        {page !== null && page.webhooks.length === 0 && (
          <p class="empty big-empty" data-testid="webhooks-empty">
            {t('webhooks.empty')}
          </p>
        )}
        {page?.webhooks.map((w) => (
          <article key={w.subscription_id} class="webhook" data-testid="webhook" data-active={String(w.active)}>
            <header>
              <h2>{w.description || w.url}</h2>
              <span class={`phase ${w.active ? 'live' : 'ended'}`}>
                <i aria-hidden="true" /> {t(w.active ? 'webhooks.on' : 'webhooks.off')}
              </span>
            </header>
            <p class="wrap-anywhere">
              <code>{w.url}</code> {w.template !== '' && <span class="chip static">{w.template}</span>}
            </p>
            <p class="chips">
              {w.events.map((e) => (
                <span key={e} class="chip static">
                  {app.word(`webhooks.event.${e}`, e)}
                </span>
              ))}
            </p>
            {w.rotated_until !== null && new Date(w.rotated_until) > new Date() && (
              <p class="dim">
                {t('webhooks.rotating', { at: moment(w.rotated_until, app.language.value, new Date()) })}
              </p>
            )}
            <p class="actions">
              <button
                type="button"
                onClick={() => void act(() => app.api.testWebhook(w.subscription_id), t('webhooks.test.sent'))}
              >
                {t('webhooks.test')}
              </button>
              <button
                type="button"
                aria-expanded={opened === w.subscription_id}
                data-testid="webhook-log"
                onClick={() => setOpened(opened === w.subscription_id ? null : w.subscription_id)}
              >
                {t('webhooks.log')}
              </button>
              <button
                type="button"
                class="quiet"
                onClick={() => void act(() => app.api.changeWebhook(w.subscription_id, { active: !w.active }))}
              >
                {t(w.active ? 'webhooks.pause' : 'webhooks.resume')}
              </button>
              <button
                type="button"
                class="quiet"
                onClick={() => void act(async () => setSecret((await app.api.rotateWebhook(w.subscription_id)).secret))}
              >
                {t('webhooks.rotate')}
              </button>
              <button type="button" class="quiet" onClick={() => setRemoving(w)}>
                {t('webhooks.remove')}
              </button>
            </p>
            {opened === w.subscription_id && <DeliveryLog subscriptionId={w.subscription_id} />}
          </article>
        ))}
      </main>
      {making && page !== null && (
        <NewWebhook
          page={page}
          onClose={() => setMaking(false)}
          onMade={(made) => {
            setMaking(false);
            setSecret(made);
            void load();
          }}
        />
      )}
      {secret !== null && (
        <Dialog title={t('webhooks.secret')} testid="secret-dialog" onClose={() => setSecret(null)}>
          <p>{t('webhooks.secret.once')}</p>
          <p class="wrap-anywhere">
            <code data-testid="webhook-secret">{secret}</code>
          </p>
          <p class="dialog-actions">
            <button type="button" onClick={() => void app.copy(secret)}>
              {t('common.copy')}
            </button>
            <button type="button" class="primary" onClick={() => setSecret(null)}>
              {t('common.close')}
            </button>
          </p>
        </Dialog>
      )}
      {removing !== null && (
        <Dialog title={t('webhooks.remove')} testid="remove-dialog" onClose={() => setRemoving(null)}>
          <p>{t('webhooks.remove.sure')}</p>
          <p class="dialog-actions">
            <button type="button" onClick={() => setRemoving(null)}>
              {t('common.cancel')}
            </button>
            <button
              type="button"
              class="primary"
              onClick={() => {
                const { subscription_id } = removing;
                setRemoving(null);
                void act(() => app.api.removeWebhook(subscription_id));
              }}
            >
              {t('webhooks.remove')}
            </button>
          </p>
        </Dialog>
      )}
    </Shell>
  );
}

export function stateOf(message: WebhookMessage): WebhookMessage['state'] | 'retry' {
  return message.state === 'queued' && message.attempts > 0 ? 'retry' : message.state;
}

function NewWebhook({
  page,
  onClose,
  onMade,
}: {
  page: WebhookPage;
  onClose: () => void;
  onMade: (secret: string) => void;
}) {
  const app = useApp();
  const t = app.t.value;
  const [url, setUrl] = useState('');
  const [description, setDescription] = useState('');
  const [template, setTemplate] = useState('');
  const [variable, setVariable] = useState('');
  const [events, setEvents] = useState<ReadonlySet<string>>(new Set(['ticket.confirmed']));
  const [error, setError] = useState('');
  const [busy, setBusy] = useState(false);
  const fits = (e: string): boolean =>
    template === '' || (page.templates.find((x) => x.name === template)?.events.includes(e) ?? false);
  const submit = async (event: Event): Promise<void> => {
    event.preventDefault();
    setBusy(true);
    try {
      const body = { url, description, template, authorization_env: variable, events: [...events].filter(fits) };
      onMade((await app.api.newWebhook(body)).secret);
    } catch (e) {
      setError(app.describe(e));
      setBusy(false);
    }
  };
  return (
    <Dialog title={t('webhooks.new')} testid="webhook-form" onClose={onClose} wide>
      <form class="stack" onSubmit={(e) => void submit(e)}>
        <label>
          {t('webhooks.url')}
          <input
            type="url"
            required
            placeholder="https://"
            value={url}
            data-testid="webhook-url"
            onInput={(e) => setUrl(e.currentTarget.value)}
          />
        </label>
        <label>
          {t('webhooks.description')}
          <input maxLength={200} value={description} onInput={(e) => setDescription(e.currentTarget.value)} />
        </label>
        <label>
          {t('webhooks.template')}
          <select value={template} onChange={(e) => setTemplate(e.currentTarget.value)}>
            <option value="">{t('webhooks.template.none')}</option>
            {page.templates.map((x) => (
              <option key={x.name} value={x.name}>
                {x.name}: {x.description}
              </option>
            ))}
          </select>
        </label>
        <fieldset>
          <legend>{t('webhooks.events')}</legend>
          {page.events.map((e) => (
            <label key={e} class="check">
              <input
                type="checkbox"
                checked={events.has(e) && fits(e)}
                disabled={!fits(e)}
                onChange={() => {
                  const next = new Set(events);
                  if (!next.delete(e)) next.add(e);
                  setEvents(next);
                }}
              />
              {app.word(`webhooks.event.${e}`, e)} <code class="dim">{e}</code>
            </label>
          ))}
        </fieldset>
        <label>
          {t('webhooks.variable')}
          <input
            placeholder="PANGTING_WEBHOOK_…"
            value={variable}
            onInput={(e) => setVariable(e.currentTarget.value)}
          />
        </label>
        {error !== '' && (
          <p class="form-error" role="alert">
            {error}
          </p>
        )}
        <p class="dialog-actions">
          <button type="button" onClick={onClose}>
            {t('common.cancel')}
          </button>
          <button type="submit" class="primary" disabled={busy} data-testid="webhook-save">
            {t('webhooks.save')}
          </button>
        </p>
      </form>
    </Dialog>
  );
}
