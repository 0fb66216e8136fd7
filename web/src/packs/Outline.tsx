// What was read of a pack: questions with weight and fatal mark, the tree of categories, rules with severity. A click goes to the line.
import type { Entry } from '../net/packs.ts';
import { useApp } from '../ui/app.ts';

const SHOWN = ['section', 'severity', 'channel', 'kind', 'check', 'applies'] as const;

export function Outline({ entries, onGo }: { entries: readonly Entry[]; onGo: (line: number) => void }) {
  const app = useApp();
  const t = app.t.value;
  if (entries.length === 0) return null;
  const weighted = entries.some((e) => e.facts.weight !== undefined && e.facts.section !== undefined);
  return (
    <section class="panel" data-testid="pack-outline">
      <h2>
        {t('packs.outline')} <span class="dim num">{entries.length}</span>
      </h2>
      <ul class="outline">
        {entries.map((e, i) => (
          <li key={i} class={e.depth > 0 ? 'below' : undefined}>
            <button type="button" class="link" onClick={() => onGo(e.line)}>
              {e.name[app.language.value] ?? e.name.zh ?? e.name.en ?? e.id}
            </button>{' '}
            <code class="dim">{e.id}</code>
            {weighted && <span class="num"> {t('packs.weight', { n: Number(e.facts.weight) })}</span>}
            {e.facts.fatal === true && <span class="chip static bad">{t('packs.fatal')}</span>}
            <div class="dim small-text">
              {SHOWN.filter((key) => e.facts[key] !== undefined)
                .map((key) => [e.facts[key]].flat().join(', '))
                .join(' · ')}
            </div>
          </li>
        ))}
      </ul>
    </section>
  );
}
