// Dialogs of the knowledge graph: a fact with the words that say so, and what a product is called or merged into.
import { useMemo, useState } from 'preact/hooks';
import type { Key } from '../i18n/translate.ts';
import { useApp } from '../ui/app.ts';
import { Dialog } from '../ui/Dialog.tsx';
import { ErrorBox } from '../ui/Shell.tsx';
import { useKnowledge } from './Frame.tsx';
import type { GraphEntity } from './requests.ts';

export const RELATIONS = ['fee', 'rate', 'limit', 'time', 'channel', 'document', 'condition'] as const;

export function ProductSelect({
  entities,
  value,
  onPick,
  testid = 'kg-product',
}: {
  entities: readonly GraphEntity[];
  value: string;
  onPick: (value: string) => void;
  testid?: string;
}) {
  const t = useApp().t.value;
  const ordered = useMemo(() => ranked(entities), [entities]);
  return (
    <select
      value={value}
      aria-label={t('kg.product')}
      data-testid={testid}
      onChange={(e) => onPick(e.currentTarget.value)}
    >
      <option value="">{t('kg.product.all')}</option>
      {ordered.map(({ entity, depth }) => (
        <option key={entity.entity_id} value={entity.entity_id}>
          {'\u2003'.repeat(depth)}
          {entity.name} {entity.facts}
        </option>
      ))}
    </select>
  );
}

/** Every product under the one that it is a kind of. */
function ranked(entities: readonly GraphEntity[]): { entity: GraphEntity; depth: number }[] {
  const known = new Set(entities.map((one) => one.entity_id));
  const under = (parent: string, depth: number): { entity: GraphEntity; depth: number }[] =>
    entities
      .filter((one) => (known.has(one.parent) ? one.parent : '') === parent)
      .flatMap((entity) => [{ entity, depth }, ...(depth < 5 ? under(entity.entity_id, depth + 1) : [])]);
  return under('', 0);
}

export function AddFact({
  language,
  product,
  entities,
  onDone,
  onClose,
}: {
  language: string;
  product: string;
  entities: readonly GraphEntity[];
  onDone: () => void;
  onClose: () => void;
}) {
  const t = useApp().t.value;
  const kb = useKnowledge();
  const [fact, setFact] = useState({
    subject: product,
    relation: 'fee',
    value: '',
    topic: '',
    article_id: '',
    quote: '',
  });
  const [error, setError] = useState<unknown>(null);
  const whole =
    fact.subject !== '' && fact.value.trim() !== '' && fact.article_id.trim() !== '' && fact.quote.trim() !== '';
  const save = async (): Promise<void> => {
    setError(null);
    try {
      await kb.change({ language, kind: 'fact', ...fact });
      onDone();
    } catch (fault) {
      setError(fault);
    }
  };
  const field = (name: 'value' | 'topic' | 'article_id' | 'quote') => (
    <label class="kg-field">
      {t(`kg.field.${name}` as Key)}
      <input
        type="text"
        value={fact[name]}
        maxLength={name === 'quote' ? 1000 : 100}
        data-testid={`kg-${name}`}
        onInput={(e) => setFact({ ...fact, [name]: e.currentTarget.value })}
      />
    </label>
  );
  return (
    <Dialog title={t('kg.add')} onClose={onClose} testid="kg-add-dialog">
      <form
        class="kg-form"
        onSubmit={(e) => {
          e.preventDefault();
          if (whole) void save();
        }}
      >
        <ProductSelect
          entities={entities}
          value={fact.subject}
          testid="kg-add-product"
          onPick={(subject) => setFact({ ...fact, subject })}
        />
        <label class="kg-field">
          {t('kg.relation')}
          <select value={fact.relation} onChange={(e) => setFact({ ...fact, relation: e.currentTarget.value })}>
            {RELATIONS.map((name) => (
              <option key={name} value={name}>
                {t(`kg.relation.${name}` as Key)}
              </option>
            ))}
          </select>
        </label>
        {field('value')}
        {field('topic')}
        {field('article_id')}
        {field('quote')}
        <p class="dim">{t('kg.add.about')}</p>
        {error !== null && <ErrorBox error={error} />}
        <div class="actions">
          <button type="submit" class="primary" disabled={!whole} data-testid="kg-add-save">
            {t('kg.add.save')}
          </button>
        </div>
      </form>
    </Dialog>
  );
}

export function ProductDialog({
  language,
  product,
  entities,
  onDone,
  onClose,
}: {
  language: string;
  product: GraphEntity | undefined;
  entities: readonly GraphEntity[];
  onDone: (next: string) => void;
  onClose: () => void;
}) {
  const t = useApp().t.value;
  const kb = useKnowledge();
  const [name, setName] = useState(product?.name ?? '');
  const [into, setInto] = useState('');
  const [error, setError] = useState<unknown>(null);
  if (product === undefined) return null;
  const take = async (step: () => Promise<unknown>, next: string): Promise<void> => {
    setError(null);
    try {
      await step();
      onDone(next);
    } catch (fault) {
      setError(fault);
    }
  };
  const id = product.entity_id;
  return (
    <Dialog title={product.name} onClose={onClose} testid="kg-product-dialog">
      <form
        class="kg-form"
        onSubmit={(e) => {
          e.preventDefault();
          void take(() => kb.change({ language, kind: 'name', target: id, name: name.trim() }), id);
        }}
      >
        <label class="kg-field">
          {t('kg.product.name')}
          <input
            type="text"
            value={name}
            maxLength={60}
            data-testid="kg-name"
            onInput={(e) => setName(e.currentTarget.value)}
          />
        </label>
        <div class="actions">
          {product.renamed && (
            <button
              type="button"
              data-testid="kg-name-back"
              onClick={() => void take(() => kb.takeBack(language, 'name', id), id)}
            >
              {t('kg.takeback')}
            </button>
          )}
          <button type="submit" class="primary" disabled={name.trim() === ''} data-testid="kg-name-save">
            {t('kg.product.rename')}
          </button>
        </div>
        <div class="kg-field">
          {t('kg.product.into')}
          <ProductSelect
            entities={entities.filter((one) => one.entity_id !== id)}
            value={into}
            testid="kg-into"
            onPick={setInto}
          />
        </div>
        <div class="actions">
          <button
            type="button"
            disabled={into === ''}
            data-testid="kg-merge"
            onClick={() => void take(() => kb.change({ language, kind: 'merge', target: id, into }), into)}
          >
            {t('kg.product.merge')}
          </button>
        </div>
        {product.merged.map((one) => (
          <p key={one}>
            {t('kg.product.merged', { name: one })}{' '}
            <button
              type="button"
              class="small"
              onClick={() => void take(() => kb.takeBack(language, 'merge', one), id)}
            >
              {t('kg.takeback')}
            </button>
          </p>
        ))}
        {error !== null && <ErrorBox error={error} />}
      </form>
    </Dialog>
  );
}
