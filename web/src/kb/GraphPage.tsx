// What the articles in force say about products: as a list and as a picture, each fact with its source and its state, decided by keyboard.
import { useCallback, useEffect, useMemo, useState } from 'preact/hooks';
import { percent } from '../core/format.ts';
import type { Fact } from '../gen/types.ts';
import type { Key } from '../i18n/translate.ts';
import { useApp } from '../ui/app.ts';
import { typing } from '../ui/keys.ts';
import { ErrorBox, Link } from '../ui/Shell.tsx';
import { articlePath, Frame, State, useKnowledge, useLoaded, useRowKeys } from './Frame.tsx';
import { AddFact, ProductDialog, ProductSelect, RELATIONS } from './GraphDialogs.tsx';
import { GraphPicture } from './GraphPicture.tsx';
import { factValue } from './graph.ts';
import { type GraphPageBody, mayWrite } from './requests.ts';

const STATES = ['found', 'confirmed', 'rejected', 'added', 'lost'] as const;
const PAGE = 100;

export function GraphPage() {
  const app = useApp();
  const t = app.t.value;
  const kb = useKnowledge();
  const [language, setLanguage] = useState<string>(app.language.value);
  const [product, setProduct] = useState('');
  const [relation, setRelation] = useState('');
  const [state, setState] = useState('');
  const [words, setWords] = useState('');
  const [view, setView] = useState<'list' | 'picture'>('list');
  const [shown, setShown] = useState(PAGE);
  const [dialog, setDialog] = useState<'' | 'add' | 'product'>('');
  const [fault, setFault] = useState<unknown>(null);
  const page = useLoaded(
    () => kb.graph({ language, product, relation, state, q: words, limit: shown }),
    [kb, language, product, relation, state, words, shown],
  );
  const writes = mayWrite(app.session.value?.user.roles ?? []);
  const again = page.again;
  const decide = useCallback(
    async (fact: Fact, wanted: 'confirmed' | 'rejected') => {
      setFault(null);
      try {
        // The same key again takes a decision back.
        if (fact.state === wanted) await kb.takeBack(language, 'verdict', fact.key);
        else if (fact.state === 'added' || fact.state === 'lost') await kb.takeBack(language, 'fact', fact.key);
        else await kb.change({ language, kind: 'verdict', target: fact.key, state: wanted });
        again();
      } catch (error) {
        setFault(error);
      }
    },
    [kb, language, again],
  );
  const pick = (value: string): void => {
    setProduct(value);
    setShown(PAGE);
  };
  return (
    <Frame
      tab="graph"
      actions={
        writes && (
          <>
            {product !== '' && (
              <button type="button" class="small" data-testid="kg-edit-product" onClick={() => setDialog('product')}>
                {t('kg.product.edit')}
              </button>
            )}
            <button type="button" class="primary" data-testid="kg-add" onClick={() => setDialog('add')}>
              {t('kg.add')}
            </button>
          </>
        )
      }
    >
      <div class="kb-filters">
        <select
          value={language}
          aria-label={t('kg.language')}
          data-testid="kg-language"
          onChange={(e) => {
            setLanguage(e.currentTarget.value);
            pick('');
          }}
        >
          <option value="zh">中文</option>
          <option value="en">English</option>
        </select>
        <ProductSelect entities={page.value?.entities ?? []} value={product} onPick={pick} />
        <select
          value={relation}
          aria-label={t('kg.relation')}
          data-testid="kg-relation"
          onChange={(e) => setRelation(e.currentTarget.value)}
        >
          <option value="">{t('kg.relation.all')}</option>
          {RELATIONS.map((name) => (
            <option key={name} value={name}>
              {t(`kg.relation.${name}` as Key)}
            </option>
          ))}
        </select>
        <select
          value={state}
          aria-label={t('kg.state')}
          data-testid="kg-state"
          onChange={(e) => setState(e.currentTarget.value)}
        >
          <option value="">{t('kg.state.all')}</option>
          {STATES.map((name) => (
            <option key={name} value={name}>
              {t(`kg.state.${name}` as Key)} {page.value?.states[name] ?? 0}
            </option>
          ))}
        </select>
        <input
          type="search"
          value={words}
          maxLength={100}
          placeholder={t('kg.words')}
          aria-label={t('kg.words')}
          data-testid="kg-words"
          onInput={(e) => setWords(e.currentTarget.value)}
        />
        <fieldset class="segmented">
          <legend class="sr-only">{t('kg.view')}</legend>
          {(['list', 'picture'] as const).map((name) => (
            <button
              key={name}
              type="button"
              aria-pressed={view === name}
              data-testid={`kg-view-${name}`}
              onClick={() => setView(name)}
            >
              {t(`kg.view.${name}` as Key)}
            </button>
          ))}
        </fieldset>
      </div>
      {fault !== null && <ErrorBox error={fault} />}
      <State of={page} lines={8}>
        {(found) =>
          found.facts.length === 0 ? (
            <p class="empty big-empty" data-testid="kg-empty">
              {t(found.entities.length === 0 ? 'kg.empty' : 'kg.empty.filtered')}
            </p>
          ) : view === 'picture' ? (
            <GraphPicture page={found} product={product} onPick={pick} />
          ) : (
            <Facts page={found} writes={writes} decide={decide} more={() => setShown(Math.min(500, shown + PAGE))} />
          )
        }
      </State>
      {dialog === 'add' && (
        <AddFact
          language={language}
          product={product}
          entities={page.value?.entities ?? []}
          onDone={() => {
            setDialog('');
            again();
          }}
          onClose={() => setDialog('')}
        />
      )}
      {dialog === 'product' && page.value !== null && (
        <ProductDialog
          language={language}
          product={page.value.entities.find((one) => one.entity_id === product)}
          entities={page.value.entities}
          onDone={(next) => {
            setDialog('');
            pick(next);
            again();
          }}
          onClose={() => setDialog('')}
        />
      )}
    </Frame>
  );
}

function Facts({
  page,
  writes,
  decide,
  more,
}: {
  page: GraphPageBody;
  writes: boolean;
  decide: (fact: Fact, wanted: 'confirmed' | 'rejected') => void;
  more: () => void;
}) {
  const app = useApp();
  const t = app.t.value;
  const rows = useRowKeys<HTMLDivElement>();
  const names = useMemo(() => new Map(page.entities.map((one) => [one.entity_id, one.name])), [page]);
  useEffect(() => {
    const onKey = (e: KeyboardEvent): void => {
      if (!writes || e.ctrlKey || e.metaKey || e.altKey || typing(e.target)) return;
      const key = (document.activeElement as HTMLElement | null)?.closest<HTMLElement>('[data-fact]')?.dataset.fact;
      const fact = page.facts.find((one) => one.key === key);
      const wanted = e.key === 'y' ? 'confirmed' : e.key === 'x' ? 'rejected' : null;
      if (fact === undefined || wanted === null) return;
      e.preventDefault();
      decide(fact, wanted);
    };
    document.addEventListener('keydown', onKey);
    return () => document.removeEventListener('keydown', onKey);
  }, [page, writes, decide]);
  return (
    <>
      <p class="dim">
        {t('kg.count', { n: page.total })} {writes && t('kg.keys')}
      </p>
      <div class="kg-facts" ref={rows}>
        {page.facts.map((fact) => (
          <article key={fact.key} class={`kb-panel kg-fact ${fact.state}`} data-testid="kg-fact" data-fact={fact.key}>
            <div class="kg-said">
              <h3>
                <Link to={articlePath(fact.source.article_id, page.language)} class="row-link">
                  {names.get(fact.subject) ?? fact.subject}
                </Link>{' '}
                <span class="chip static">{t(`kg.relation.${fact.relation}` as Key)}</span>{' '}
                <strong class="num">{factValue(t, fact)}</strong>
              </h3>
              {fact.topic !== '' && <p class="dim">{fact.topic}</p>}
              <blockquote data-testid="kg-source">{fact.source.quote}</blockquote>
              <p class="dim">
                {fact.source.title || t('kg.source.gone')}
                {fact.source.section !== '' && ` › ${fact.source.section}`} · v{fact.source.version}
              </p>
            </div>
            <div class="kg-decide">
              <span class={`kb-state ${fact.state}`} data-testid="kg-fact-state">
                <i aria-hidden="true" /> {t(`kg.state.${fact.state}` as Key)}
              </span>
              <span class="dim num">{t('kg.sure', { p: percent(fact.confidence) })}</span>
              {writes && <Decide fact={fact} decide={decide} />}
            </div>
          </article>
        ))}
      </div>
      {page.total > page.facts.length && page.facts.length < 500 && (
        <button type="button" data-testid="kg-more" onClick={more}>
          {t('kg.more', { n: page.total - page.facts.length })}
        </button>
      )}
    </>
  );
}

function Decide({ fact, decide }: { fact: Fact; decide: (fact: Fact, wanted: 'confirmed' | 'rejected') => void }) {
  const t = useApp().t.value;
  if (fact.state === 'added' || fact.state === 'lost')
    return (
      <button type="button" class="small" data-testid="kg-remove" onClick={() => decide(fact, 'rejected')}>
        {t('kg.remove')}
      </button>
    );
  return (
    <span class="kg-buttons">
      <button
        type="button"
        class="small"
        aria-pressed={fact.state === 'confirmed'}
        data-testid="kg-confirm"
        onClick={() => decide(fact, 'confirmed')}
      >
        {t('kg.confirm')}
      </button>
      <button
        type="button"
        class="small"
        aria-pressed={fact.state === 'rejected'}
        data-testid="kg-reject"
        onClick={() => decide(fact, 'rejected')}
      >
        {t('kg.reject')}
      </button>
    </span>
  );
}
