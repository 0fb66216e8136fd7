// A product with what is known of it in a ring around it, or, without one, the products and what they are kinds of. Beside it in words: the list.
import type { Key } from '../i18n/translate.ts';
import { useApp } from '../ui/app.ts';
import { factValue } from './graph.ts';
import type { GraphEntity, GraphPageBody } from './requests.ts';

const WIDTH = 960;
const MAX_AROUND = 28;
const ROW = 34;

interface Node {
  id: string;
  label: string;
  note: string;
  state: string;
  kind: string;
}

export function GraphPicture({
  page,
  product,
  onPick,
}: {
  page: GraphPageBody;
  product: string;
  onPick: (product: string) => void;
}) {
  const app = useApp();
  const t = app.t.value;
  const centre = page.entities.find((one) => one.entity_id === product);
  if (centre === undefined) return <Products entities={page.entities} onPick={onPick} />;
  const names = new Map(page.entities.map((one) => [one.entity_id, one.name]));
  const nodes: Node[] = page.facts.slice(0, MAX_AROUND).map((fact) => ({
    id: fact.key,
    label: factValue(t, fact),
    note: [
      fact.subject === product ? '' : names.get(fact.subject),
      t(`kg.relation.${fact.relation}` as Key),
      fact.topic,
    ]
      .filter((part) => part !== '' && part !== undefined)
      .join(' · '),
    state: fact.state,
    kind: fact.relation,
  }));
  const half = Math.ceil(nodes.length / 2);
  const height = Math.max(half, 4) * (ROW + 14) + 40;
  const middle = height / 2;
  return (
    <figure class="kb-panel kg-picture">
      <svg
        viewBox={`0 0 ${WIDTH} ${height}`}
        role="img"
        aria-label={t('kg.picture.of', { name: centre.name, n: nodes.length })}
        data-testid="kg-picture"
      >
        {nodes.map((node, i) => {
          const left = i < half;
          const at = left ? i : i - half;
          const count = left ? half : nodes.length - half;
          const y = middle + (at - (count - 1) / 2) * (ROW + 14);
          const x = left ? 330 : WIDTH - 330;
          const from = left ? WIDTH / 2 - 80 : WIDTH / 2 + 80;
          return (
            <g key={node.id} class={`kg-node ${node.kind} ${node.state}`}>
              <path d={`M ${from} ${middle} C ${(from + x) / 2} ${middle} ${(from + x) / 2} ${y} ${x} ${y}`} />
              <circle cx={x} cy={y} r={5} />
              <text x={left ? x - 12 : x + 12} y={y - 2} text-anchor={left ? 'end' : 'start'}>
                {short(node.label, 22)}
                <title>{`${node.label} · ${node.note} · ${t(`kg.state.${node.state}` as Key)}`}</title>
              </text>
              <text class="note" x={left ? x - 12 : x + 12} y={y + 14} text-anchor={left ? 'end' : 'start'}>
                {short(node.note, 26)}
              </text>
            </g>
          );
        })}
        <rect x={WIDTH / 2 - 80} y={middle - 22} width={160} height={44} rx={10} class="centre" />
        <text x={WIDTH / 2} y={middle + 5} text-anchor="middle" class="centre">
          {short(centre.name, 14)}
        </text>
      </svg>
      <figcaption class="dim">
        {t(page.total > nodes.length ? 'kg.picture.some' : 'kg.picture.all', { n: nodes.length, total: page.total })}
        {page.entities
          .filter((one) => one.parent === product || one.entity_id === centre.parent)
          .map((one) => (
            <button key={one.entity_id} type="button" class="small" onClick={() => onPick(one.entity_id)}>
              {one.name}
            </button>
          ))}
      </figcaption>
    </figure>
  );
}

/** The products as a tree, the number of facts as the length of a bar. */
function Products({ entities, onPick }: { entities: readonly GraphEntity[]; onPick: (product: string) => void }) {
  const t = useApp().t.value;
  const known = new Set(entities.map((one) => one.entity_id));
  const most = Math.max(1, ...entities.map((one) => one.facts));
  const rows: { entity: GraphEntity; depth: number; parent: number }[] = [];
  const place = (parentId: string, depth: number, parent: number): void => {
    for (const entity of entities) {
      if ((known.has(entity.parent) ? entity.parent : '') !== parentId || depth > 5) continue;
      rows.push({ entity, depth, parent });
      place(entity.entity_id, depth + 1, rows.length - 1);
    }
  };
  place('', 0, -1);
  return (
    <figure class="kb-panel kg-picture">
      {/* biome-ignore lint/a11y/useSemanticElements: a picture whose nodes can be chosen is no set of fields */}
      <svg
        viewBox={`0 0 ${WIDTH} ${rows.length * ROW + 20}`}
        role="group"
        aria-label={t('kg.picture.products')}
        data-testid="kg-picture"
      >
        {rows.map(({ entity, depth, parent }, i) => {
          const x = 20 + depth * 60;
          const y = 24 + i * ROW;
          return (
            // biome-ignore lint/a11y/useSemanticElements: a node of a picture cannot be a button element
            <g
              key={entity.entity_id}
              class="kg-product"
              role="button"
              tabindex={0}
              data-testid="kg-product-node"
              aria-label={`${entity.name} ${entity.facts}`}
              onClick={() => onPick(entity.entity_id)}
              onKeyDown={(e) => {
                if (e.key === 'Enter' || e.key === ' ') {
                  e.preventDefault();
                  onPick(entity.entity_id);
                }
              }}
            >
              {parent >= 0 && <path d={`M ${x - 48} ${24 + parent * ROW + 8} V ${y} H ${x - 6}`} />}
              <rect class="hit" x={x - 8} y={y - 16} width={WIDTH - x - 10} height={ROW - 2} rx={6} />
              <circle cx={x} cy={y} r={5} />
              <text x={x + 12} y={y + 5}>
                {short(entity.name, 24)}
              </text>
              <rect class="bar" x={430} y={y - 6} width={(entity.facts / most) * 440} height={12} rx={3} />
              <text class="note" x={436 + (entity.facts / most) * 440} y={y + 5}>
                {entity.facts}
              </text>
            </g>
          );
        })}
      </svg>
      <figcaption class="dim">{t('kg.picture.pick')}</figcaption>
    </figure>
  );
}

function short(text: string, most: number): string {
  return [...text].length > most ? `${[...text].slice(0, most - 1).join('')}…` : text;
}
