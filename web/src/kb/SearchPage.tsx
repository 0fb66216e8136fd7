// Searching as the live suggestions do, with why each article is where it is: score of every field, its weight, the bar.
import { useEffect, useState } from 'preact/hooks';
import { percent } from '../core/format.ts';
import { mark } from '../core/text.ts';
import type { Guidance as GuidanceBody, Hit } from '../gen/types.ts';
import type { Key } from '../i18n/translate.ts';
import { useApp } from '../ui/app.ts';
import { Guidance } from '../ui/Guidance.tsx';
import { ErrorBox, Link, Skeleton } from '../ui/Shell.tsx';
import { articlePath, Frame, useKnowledge, useLoaded, useRowKeys } from './Frame.tsx';

const PAUSE_MS = 200;

export function SearchPage() {
  const app = useApp();
  const t = app.t.value;
  const kb = useKnowledge();
  const [query, setQuery] = useState('');
  const [found, setFound] = useState<{ hits: Hit[]; guidance: GuidanceBody | null; query: string } | null>(null);
  const [error, setError] = useState<unknown>(null);
  const [busy, setBusy] = useState(false);
  const language = /[㐀-鿿]/u.test(query) || query.trim() === '' ? 'zh' : 'en';
  const ranking = useLoaded(() => kb.ranking(language), [language]);
  const rows = useRowKeys<HTMLDivElement>();
  useEffect(() => {
    const q = query.trim();
    if (q === '') {
      setFound(null);
      setError(null);
      return;
    }
    const abort = new AbortController();
    const timer = setTimeout(async () => {
      setBusy(true);
      try {
        const { hits, guidance } = await app.api.kbSearch(q, language, abort.signal);
        setFound({ hits, guidance, query: q });
        setError(null);
      } catch (fault) {
        if (!abort.signal.aborted) setError(fault);
      } finally {
        if (!abort.signal.aborted) setBusy(false);
      }
    }, PAUSE_MS);
    return () => {
      clearTimeout(timer);
      abort.abort();
    };
  }, [query, language, app]);
  const weights = ranking.value?.weights ?? {};
  return (
    <Frame tab="search">
      <div class="search-field kb-search">
        <input
          type="search"
          value={query}
          maxLength={400}
          placeholder={t('kb.placeholder')}
          aria-label={t('kb.search')}
          data-testid="kb-query"
          onInput={(e) => setQuery(e.currentTarget.value)}
        />
      </div>
      {error !== null && <ErrorBox error={error} />}
      {busy && found === null && error === null && <Skeleton lines={6} />}
      {found === null && !busy && error === null && <p class="empty big-empty">{t('kbc.search.start')}</p>}
      {found !== null && found.hits.length === 0 && <p class="empty big-empty">{t('kb.empty')}</p>}
      <div ref={rows} aria-live="polite">
        <Guidance guidance={found?.guidance} />
        {found?.hits.map((hit) => (
          <Found key={hit.article.article_id} hit={hit} query={found.query} weights={weights} />
        ))}
      </div>
    </Frame>
  );
}

function Marked({ text, query }: { text: string; query: string }) {
  return <>{mark(text, query).map((m, i) => (m.hit ? <mark key={i}>{m.text}</mark> : m.text))}</>;
}

function Found({ hit, query, weights }: { hit: Hit; query: string; weights: Record<string, number> }) {
  const t = useApp().t.value;
  const { article, passage } = hit;
  const fields = Object.keys(weights).filter((name) => (weights[name] ?? 0) > 0);
  return (
    <article class="kb-panel kb-hit" data-testid="kb-found" data-article-id={article.article_id}>
      <div>
        <h3>
          <Link to={articlePath(article.article_id, article.language)} class="row-link">
            <Marked text={article.title} query={query} />
          </Link>
        </h3>
        <p>
          <span class="chip static">{t(`kbc.passage.${passage.kind}` as Key)}</span>{' '}
          <Marked text={passage.text} query={query} />
        </p>
        {article.answer !== '' && article.answer !== passage.text && (
          <p class="dim">
            <Marked text={article.answer} query={query} />
          </p>
        )}
        <p class="dim num">
          v{article.version} · {article.owner || t('kbc.noowner')}
        </p>
      </div>
      <table class="kb-why">
        <caption>
          {t('kbc.search.confidence', { p: percent(hit.confidence) })}{' '}
          {!hit.fits && <strong class="expired">{t('kbc.search.below')}</strong>}
        </caption>
        <thead>
          <tr>
            <th scope="col">{t('kbc.search.field')}</th>
            <th scope="col" class="right">
              {t('kbc.search.score')}
            </th>
            <th scope="col" class="right">
              {t('kbc.search.weight')}
            </th>
          </tr>
        </thead>
        <tbody>
          {fields.map((name) => (
            <tr key={name}>
              <th scope="row">{t(`kbc.ranker.${name}` as Key)}</th>
              <td class="right num">
                {hit.scores[name] === undefined ? t('kbc.search.nomatch') : hit.scores[name].toFixed(2)}
              </td>
              <td class="right num">×{weights[name]?.toFixed(2)}</td>
            </tr>
          ))}
          <tr>
            <th scope="row">{t('kbc.search.total')}</th>
            <td class="right num">{hit.score.toFixed(2)}</td>
            <td />
          </tr>
        </tbody>
      </table>
    </article>
  );
}
