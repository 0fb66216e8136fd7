// All articles with where they stand: filters with counts, pages, keyboard.
import { useEffect, useState } from 'preact/hooks';
import { moment } from '../core/format.ts';
import type { ArticleHead } from '../gen/types.ts';
import type { Key } from '../i18n/translate.ts';
import { useApp } from '../ui/app.ts';
import { Link } from '../ui/Shell.tsx';
import { Validity } from '../ui/Source.tsx';
import { articlePath, Frame, State, StateChip, useKnowledge, useLoaded, useRowKeys } from './Frame.tsx';
import { mayWrite } from './requests.ts';

const STATES = ['', 'in_force', 'draft', 'in_review', 'scheduled', 'expired', 'retired'] as const;
const PAGE = 50;
const PAUSE_MS = 250;

export function ListPage() {
  const app = useApp();
  const t = app.t.value;
  const kb = useKnowledge();
  const [state, setState] = useState<(typeof STATES)[number]>(
    // Other pages link to a part of the list.
    () => STATES.find((name) => name === new URLSearchParams(location.search).get('state')) ?? '',
  );
  const [typed, setTyped] = useState('');
  const [text, setText] = useState('');
  const [language, setLanguage] = useState('');
  const [audience, setAudience] = useState('');
  const [mined, setMined] = useState(false);
  const [offset, setOffset] = useState(0);
  const rows = useRowKeys<HTMLDivElement>();
  useEffect(() => {
    const timer = setTimeout(() => {
      setText(typed.trim());
      setOffset(0);
    }, PAUSE_MS);
    return () => clearTimeout(timer);
  }, [typed]);
  const keys = [state, text, language, audience, mined, offset];
  const page = useLoaded(
    () => kb.list({ state, q: text, language, audience, mined: mined ? 'true' : '', offset, limit: PAGE }),
    keys,
  );
  const writes = mayWrite(app.session.value?.user.roles ?? []);
  const counts = page.value?.counts ?? {};
  return (
    <Frame
      tab="articles"
      actions={
        writes && (
          <Link to="/kb/new" class="button primary">
            {t('kbc.new')}
          </Link>
        )
      }
    >
      <div class="kb-filters">
        <fieldset class="segmented">
          <legend class="sr-only">{t('kbc.filter.state')}</legend>
          {STATES.map((name) => (
            <button
              key={name}
              type="button"
              aria-pressed={state === name}
              data-testid={`kb-filter-${name || 'all'}`}
              onClick={() => {
                setState(name);
                setOffset(0);
              }}
            >
              {t(name === '' ? 'kbc.filter.all' : (`kbc.state.${name}` as Key))}
              {name !== '' && <span class="num dim"> {counts[name] ?? 0}</span>}
            </button>
          ))}
        </fieldset>
        <input
          type="search"
          value={typed}
          maxLength={200}
          placeholder={t('kbc.filter.text')}
          aria-label={t('kbc.filter.text')}
          data-testid="kb-filter-text"
          onInput={(e) => setTyped(e.currentTarget.value)}
        />
        <select
          aria-label={t('kbc.field.language')}
          value={language}
          onChange={(e) => setLanguage(e.currentTarget.value)}
        >
          <option value="">{t('kbc.filter.language')}</option>
          <option value="zh">中文</option>
          <option value="en">English</option>
        </select>
        <select
          aria-label={t('kbc.field.audience')}
          value={audience}
          onChange={(e) => setAudience(e.currentTarget.value)}
        >
          <option value="">{t('kbc.filter.audience')}</option>
          <option value="customer">{t('kbc.audience.customer')}</option>
          <option value="agent">{t('kbc.audience.agent')}</option>
        </select>
        <label class="check">
          <input type="checkbox" checked={mined} onChange={(e) => setMined(e.currentTarget.checked)} />{' '}
          {t('kbc.filter.mined')}
        </label>
        <span class="grow" />
        <span class="dim wide-only">{t('kbc.keys.list')}</span>
      </div>
      <State of={page} lines={10}>
        {(found) =>
          found.items.length === 0 ? (
            <p class="empty big-empty" data-testid="kb-empty">
              {t(text === '' && state === '' ? 'kbc.list.empty' : 'kbc.list.none')}
            </p>
          ) : (
            <>
              <div class="table-wrap" ref={rows}>
                <table>
                  <thead>
                    <tr>
                      <th scope="col">{t('kbc.col.title')}</th>
                      <th scope="col">{t('kbc.col.state')}</th>
                      <th scope="col">{t('kbc.col.valid')}</th>
                      <th scope="col">{t('kbc.field.products')}</th>
                      <th scope="col">{t('kbc.field.owner')}</th>
                      <th scope="col">{t('kbc.col.changed')}</th>
                    </tr>
                  </thead>
                  <tbody>
                    {found.items.map((head) => (
                      <Line key={`${head.article_id}/${head.language}`} head={head} />
                    ))}
                  </tbody>
                </table>
              </div>
              <p class="more">
                <button type="button" disabled={offset === 0} onClick={() => setOffset(Math.max(0, offset - PAGE))}>
                  {t('kbc.page.before')}
                </button>{' '}
                <span class="num dim">
                  {t('kbc.page.of', { from: offset + 1, to: offset + found.items.length, total: found.total })}
                </span>{' '}
                <button
                  type="button"
                  disabled={offset + PAGE >= found.total}
                  onClick={() => setOffset(offset + PAGE)}
                  data-testid="kb-next"
                >
                  {t('kbc.page.next')}
                </button>
              </p>
            </>
          )
        }
      </State>
    </Frame>
  );
}

function Line({ head }: { head: ArticleHead }) {
  const app = useApp();
  const t = app.t.value;
  const to = articlePath(head.article_id, head.language);
  return (
    <tr
      data-testid="kb-row"
      data-article-id={head.article_id}
      onClick={(e) => {
        if (!(e.target instanceof HTMLAnchorElement)) app.go(to);
      }}
    >
      <td class="wrap kb-title">
        <Link to={to} class="row-link">
          {head.title || t('kbc.untitled')}
        </Link>
        <span class="dim"> {head.language}</span>
        {head.audience === 'agent' && <span class="chip static">{t('kbc.audience.agent')}</span>}
        {head.has_origin && <span class="chip static">{t('kbc.mined')}</span>}
      </td>
      <td>
        <StateChip state={head.standing} />
        {head.open !== '' && head.open !== head.standing && <StateChip state={head.open} />}
      </td>
      <td class="num">
        <Validity from={head.valid_from} to={head.valid_to} />
      </td>
      <td class="wrap dim">{head.products.join(' · ') || '–'}</td>
      <td class="dim">{head.owner || '–'}</td>
      <td class="num dim">
        {head.updated_at === null ? '–' : moment(head.updated_at, app.language.value, new Date())}
      </td>
    </tr>
  );
}
