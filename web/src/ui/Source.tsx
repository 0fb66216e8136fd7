// Where a sentence comes from: title · section · version · validity.
import type { Citation } from '../gen/types.ts';
import { useApp } from './app.ts';
import { Icon } from './icons.tsx';

export function Validity({ from, to }: { from: string | null; to: string | null }) {
  const t = useApp().t.value;
  const today = new Date().toLocaleDateString('sv-SE'); // yyyy-mm-dd in local time
  if (to !== null && to < today) return <strong class="expired">{t('sug.valid.expired')}</strong>;
  if (from !== null && to !== null) return <>{t('sug.valid.range', { from, to })}</>;
  if (to !== null) return <>{t('sug.valid.to', { date: to })}</>;
  if (from !== null) return <>{t('sug.valid.from', { date: from })}</>;
  return <>{t('sug.valid.always')}</>;
}

export function SourceLine({ citations }: { citations: readonly Citation[] }) {
  const t = useApp().t.value;
  const first = citations[0];
  if (first === undefined)
    return (
      <p class="source none" data-testid="source-line">
        {t('sug.nosource')}
      </p>
    );
  return (
    <details class="source" data-testid="source-line" data-article-id={first.article_id}>
      <summary>
        <Icon name="book" size={14} />
        <span class="source-text">
          {first.title}
          {first.section !== '' && first.section !== first.title && ` § ${first.section}`}
        </span>
        <span class="source-when dim">
          · v{first.version} · <Validity from={first.valid_from} to={first.valid_to} />
        </span>
        {citations.length > 1 && <span class="badge">+{citations.length - 1}</span>}
      </summary>
      {citations.map((c) => (
        <blockquote key={`${c.article_id}/${c.passage_id}`}>
          {c.quote || c.title}
          <cite>
            {c.title} · v{c.version}
          </cite>
        </blockquote>
      ))}
    </details>
  );
}
