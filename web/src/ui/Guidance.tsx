// What the knowledge graph adds to a question: which product the customer may mean, or products side by side. Every value has its source.
import type { Guidance as Body } from '../gen/types.ts';
import type { Key } from '../i18n/translate.ts';
import { factValue } from '../kb/graph.ts';
import { useApp } from './app.ts';

export function Guidance({ guidance }: { guidance: Body | null | undefined }) {
  const t = useApp().t.value;
  if (guidance === null || guidance === undefined) return null;
  return (
    <section class={`guidance ${guidance.kind}`} data-testid="guidance" data-kind={guidance.kind}>
      <h3>{t(`kg.guide.${guidance.kind}` as Key)}</h3>
      <dl>
        {guidance.choices.map((choice) => (
          <div key={choice.entity_id}>
            <dt>{choice.name}</dt>
            <dd>
              <ul>
                {choice.facts.map((fact) => (
                  <li key={fact.key}>
                    <strong class="num">{factValue(t, fact)}</strong>{' '}
                    <span class="source" title={fact.source.quote}>
                      {fact.topic !== '' && `${fact.topic} · `}
                      {fact.source.title} · v{fact.source.version}
                    </span>
                  </li>
                ))}
              </ul>
            </dd>
          </div>
        ))}
      </dl>
    </section>
  );
}
