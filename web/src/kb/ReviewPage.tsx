// The review queue: what changed and what the machine found side by side; published by somebody who did not write it.
import { useEffect, useState } from 'preact/hooks';
import type { ArticleHead } from '../gen/types.ts';
import { ApiError } from '../net/api.ts';
import { useApp } from '../ui/app.ts';
import { typing } from '../ui/keys.ts';
import { Link } from '../ui/Shell.tsx';
import { Differences } from './Differences.tsx';
import { Findings } from './Findings.tsx';
import { articlePath, Frame, State, useKnowledge, useLoaded } from './Frame.tsx';
import type { Finding } from './requests.ts';

export function ReviewPage() {
  const app = useApp();
  const t = app.t.value;
  const kb = useKnowledge();
  const [picked, setPicked] = useState(0);
  const queue = useLoaded(() => kb.list({ state: 'in_review', limit: 200 }), []);
  const items = queue.value?.items ?? [];
  const at = Math.min(picked, Math.max(0, items.length - 1));
  const head = items[at];
  useEffect(() => {
    const onKey = (e: KeyboardEvent): void => {
      if (e.ctrlKey || e.metaKey || e.altKey || typing(e.target) || (e.key !== 'j' && e.key !== 'k')) return;
      setPicked((n) => Math.min(items.length - 1, Math.max(0, n + (e.key === 'j' ? 1 : -1))));
      e.preventDefault();
    };
    document.addEventListener('keydown', onKey);
    return () => document.removeEventListener('keydown', onKey);
  }, [items.length]);
  return (
    <Frame tab="review" actions={<span class="dim wide-only">{t('kbc.keys.review')}</span>}>
      <State of={queue}>
        {() =>
          head === undefined ? (
            <p class="empty big-empty" data-testid="kb-review-empty">
              {t('kbc.review.empty')}
            </p>
          ) : (
            <div class="kb-review">
              <ol class="kb-queue" aria-label={t('kbc.tab.review')}>
                {items.map((one, i) => (
                  <li key={`${one.article_id}/${one.language}`}>
                    <button
                      type="button"
                      aria-current={i === at ? 'true' : undefined}
                      data-testid="kb-review-item"
                      onClick={() => setPicked(i)}
                    >
                      {one.title} <span class="dim">{one.language}</span>
                    </button>
                  </li>
                ))}
              </ol>
              <Decision key={`${head.article_id}/${head.language}`} head={head} onDone={queue.again} />
            </div>
          )
        }
      </State>
    </Frame>
  );
}

function Decision({ head, onDone }: { head: ArticleHead; onDone: () => void }) {
  const app = useApp();
  const t = app.t.value;
  const kb = useKnowledge();
  const { article_id: id, language } = head;
  const [confirmed, setConfirmed] = useState<ReadonlySet<string>>(new Set());
  const [reason, setReason] = useState('');
  const [busy, setBusy] = useState(false);
  const found = useLoaded(async () => {
    const [listed, diff, checks] = await Promise.all([
      kb.versions(id, language),
      kb.diff(id, language),
      kb.checks(id, language),
    ]);
    const open = listed.versions.find((v) => v.article.state === 'in_review');
    return { open, diff, findings: checks.findings, names: listed.names };
  }, [id, language]);
  const me = app.session.value?.user.user_id ?? '';

  const decide = async (step: 'publish' | 'reject', revision: number): Promise<void> => {
    setBusy(true);
    try {
      await kb.step(id, step, {
        language,
        revision,
        reason,
        confirmed: step === 'publish' ? [...confirmed] : undefined,
      });
      app.say(t(step === 'publish' ? 'kbc.review.published' : 'kbc.review.rejected'));
      onDone();
    } catch (error) {
      const findings = error instanceof ApiError ? (error.more.findings as Finding[] | undefined) : undefined;
      if (findings !== undefined && found.value !== null) found.set({ ...found.value, findings });
      app.say(app.describe(error));
    } finally {
      setBusy(false);
    }
  };

  return (
    <div class="kb-decision">
      <State of={found}>
        {({ open, diff, findings, names }) => {
          if (open === undefined) return <p class="empty">{t('kbc.review.gone')}</p>;
          const own = open.authors.includes(me) || open.submitted_by === me;
          const left = findings.filter((one) => one.blocks || !confirmed.has(one.key)).length;
          return (
            <>
              <section class="kb-panel">
                <h2>
                  <Link to={articlePath(id, language)}>{open.article.title}</Link>
                </h2>
                <p class="dim">{t('kbc.by', { names: open.authors.map((a) => names[a] ?? a).join('、') })}</p>
                <Differences diff={diff} />
              </section>
              <section class="kb-panel">
                <h2>{t('kbc.checks')}</h2>
                <Findings
                  findings={findings}
                  language={language}
                  confirmed={confirmed}
                  onConfirm={(key, on) => {
                    const next = new Set(confirmed);
                    if (on) next.add(key);
                    else next.delete(key);
                    setConfirmed(next);
                  }}
                />
                {own ? (
                  <p class="kb-note" role="note" data-testid="kb-own">
                    {t('kbc.review.own')}
                  </p>
                ) : (
                  <>
                    <label class="kb-field">
                      {t('kbc.review.reason')}
                      <textarea
                        rows={2}
                        maxLength={2000}
                        value={reason}
                        data-testid="kb-reason"
                        onInput={(e) => setReason(e.currentTarget.value)}
                      />
                    </label>
                    <div class="actions">
                      <button
                        type="button"
                        class="primary"
                        disabled={busy || left > 0}
                        data-testid="kb-publish"
                        onClick={() => void decide('publish', open.revision)}
                      >
                        {t('kbc.step.publish')}
                      </button>
                      <button
                        type="button"
                        disabled={busy || reason.trim().length < 4}
                        data-testid="kb-reject"
                        onClick={() => void decide('reject', open.revision)}
                      >
                        {t('kbc.step.reject')}
                      </button>
                      {left > 0 && <span class="dim">{t('kbc.review.left', { n: left })}</span>}
                    </div>
                  </>
                )}
              </section>
            </>
          );
        }}
      </State>
    </div>
  );
}
