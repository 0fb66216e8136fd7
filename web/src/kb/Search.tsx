// Searching the knowledge base: results as they are typed for, with marks, source and copy.
import { useEffect, useRef, useState } from 'preact/hooks';
import { mark } from '../core/text.ts';
import type { Guidance as GuidanceBody, Hit } from '../gen/types.ts';
import { useApp } from '../ui/app.ts';
import { Dialog } from '../ui/Dialog.tsx';
import { Guidance } from '../ui/Guidance.tsx';
import { Icon } from '../ui/icons.tsx';
import { Skeleton } from '../ui/Shell.tsx';
import { Validity } from '../ui/Source.tsx';

/** Typing pauses this long before the server is asked. */
const PAUSE_MS = 180;

type Result =
  | { state: 'idle' }
  | { state: 'busy' }
  | { state: 'done'; hits: Hit[]; guidance: GuidanceBody | null; query: string }
  | { state: 'failed'; error: unknown };

export function SearchDialog({ onClose, initial = '' }: { onClose: () => void; initial?: string }) {
  const app = useApp();
  const t = app.t.value;
  const [query, setQuery] = useState(initial);
  const [result, setResult] = useState<Result>({ state: 'idle' });
  const input = useRef<HTMLInputElement>(null);
  const language = app.language.value;

  useEffect(() => input.current?.focus(), []);
  useEffect(() => {
    const q = query.trim();
    if (q === '') {
      setResult({ state: 'idle' });
      return;
    }
    const abort = new AbortController();
    const timer = setTimeout(async () => {
      setResult((r) => (r.state === 'done' ? r : { state: 'busy' }));
      try {
        const { hits, guidance } = await app.api.kbSearch(q, /[㐀-鿿]/u.test(q) ? 'zh' : language, abort.signal);
        setResult({ state: 'done', hits, guidance, query: q });
      } catch (error) {
        if (!abort.signal.aborted) setResult({ state: 'failed', error });
      }
    }, PAUSE_MS);
    return () => {
      clearTimeout(timer);
      abort.abort();
    };
  }, [query, language, app]);

  return (
    <Dialog title={t('kb.search')} onClose={onClose} testid="kb-search" wide>
      <div class="search-field">
        <Icon name="search" />
        <input
          ref={input}
          type="search"
          value={query}
          placeholder={t('kb.placeholder')}
          aria-label={t('kb.search')}
          maxLength={400}
          data-testid="kb-input"
          onInput={(e) => setQuery(e.currentTarget.value)}
          onKeyDown={(e) => {
            // A search field takes the first Escape for itself; here one is enough to be back at work.
            if (e.key === 'Escape') onClose();
          }}
        />
      </div>
      <div class="results" aria-live="polite" data-testid="kb-results">
        {result.state === 'idle' && <p class="empty">{t('kb.start')}</p>}
        {result.state === 'busy' && <Skeleton lines={4} />}
        {result.state === 'failed' && (
          <p class="empty" role="alert">
            {t('kb.failed')} · {app.describe(result.error)}
          </p>
        )}
        {result.state === 'done' && result.hits.length === 0 && <p class="empty">{t('kb.empty')}</p>}
        {result.state === 'done' && <Guidance guidance={result.guidance} />}
        {result.state === 'done' &&
          result.hits.map((hit) => <HitCard key={hit.article.article_id} hit={hit} query={result.query} />)}
      </div>
    </Dialog>
  );
}

function Marked({ text, query }: { text: string; query: string }) {
  return <>{mark(text, query).map((m, i) => (m.hit ? <mark key={i}>{m.text}</mark> : m.text))}</>;
}

function HitCard({ hit, query }: { hit: Hit; query: string }) {
  const app = useApp();
  const t = app.t.value;
  const { article, passage } = hit;
  const say = article.answer || passage.text;
  const matched = passage.text !== say && passage.text !== article.title ? passage.text : '';
  return (
    <article class="hit" data-testid="kb-hit" data-article-id={article.article_id}>
      <h3>
        <Marked text={article.title} query={query} />
      </h3>
      {matched !== '' && (
        <p class="matched">
          <Marked text={matched} query={query} />
        </p>
      )}
      <p class="say">
        <Marked text={say} query={query} />
      </p>
      <footer>
        <span class="source">
          v{article.version} · <Validity from={article.valid_from} to={article.valid_to} />
          {article.owner !== '' && ` · ${article.owner}`}
        </span>
        <button type="button" class="small" data-testid="kb-copy" onClick={() => void app.copy(say)}>
          <Icon name="copy" size={14} /> {t('common.copy')}
        </button>
      </footer>
    </article>
  );
}
