// What the list of calls is narrowed by. Of a facet several values can be chosen; each says how many calls it would leave.
import { useEffect, useRef } from 'preact/hooks';
import { ExportMenu } from '../console/ExportMenu.tsx';
import type { FacetName, Picked } from '../console/figures.ts';
import type { Query } from '../net/api.ts';
import type { ConsoleApi, Facet } from '../net/console.ts';
import { type App, useApp } from '../ui/app.ts';
import { Link } from '../ui/Shell.tsx';

const FIXED = {
  score: ['fatal', '0', '60', '75', '85', '95'],
  risk: ['high', 'watch', 'low'],
  state: ['machine', 'reviewed'],
  direction: ['inbound', 'outbound'],
  language: ['zh', 'en'],
} as const;
const FORMATS = ['csv', 'xlsx', 'html'] as const;
const MENUS = ['team', 'agent', 'ticket', 'intent', 'score', 'risk', 'state'] as const;
/** Only the index of calls knows them. */
const MORE = ['direction', 'language'] as const;
type MenuName = (typeof MENUS)[number] | (typeof MORE)[number];
export type Counts = Partial<Record<FacetName, readonly Facet[]>>;

interface Option {
  key: string;
  name: string;
  calls: number | undefined;
}

export function FacetBar({
  picked,
  counts,
  found,
  onPick,
  cleared,
}: {
  picked: Picked;
  counts: Counts;
  /** The calls were searched for: the facets that only the index knows are there too. */
  found: boolean;
  onPick: (name: FacetName, values: readonly string[]) => void;
  /** The address without facets. */
  cleared: string;
}) {
  const app = useApp();
  const t = app.t.value;
  const any = Object.keys(picked).some((name) => name !== 'phase');
  return (
    <search class="facets" aria-label={t('calls.facets')} data-testid="facets">
      {[...MENUS, ...(found ? MORE : [])].map((name) => (
        <Menu
          key={name}
          name={name}
          options={optionsOf(app, name, counts, picked[name] ?? [])}
          values={picked[name] ?? []}
          single={picked.phase?.[0] === 'live'}
          onPick={(values) => onPick(name, values)}
        />
      ))}
      {(['since', 'until'] as const).map((name) => (
        <label key={name} class={picked[name] === undefined ? 'facet' : 'facet on'}>
          <span class="dim">{t(`calls.facet.${name}`)}</span>
          <input
            type="date"
            value={picked[name]?.[0] ?? ''}
            data-testid={`facet-${name}`}
            onChange={(e) => onPick(name, e.currentTarget.value === '' ? [] : [e.currentTarget.value])}
          />
        </label>
      ))}
      {any && (
        <Link to={cleared} class="facet-clear">
          {t('calls.facet.clear')}
        </Link>
      )}
    </search>
  );
}

/** The values of a facet with their names; those that are chosen also where no call has them. */
function optionsOf(app: App, name: MenuName, counts: Counts, chosen: readonly string[]): Option[] {
  const t = app.t.value;
  const known = counts[name];
  const calls = new Map(known?.map((f) => [f.key, f.calls]));
  const names = new Map(known?.map((f) => [f.key, f.name ?? f.key]));
  const title = (key: string): string => {
    if (name === 'ticket') return app.categoryName(key.split('/').at(-1) ?? '');
    if (name === 'intent') return app.intentName(key);
    if (name === 'score') return app.word(`console.band.${key}`, key);
    if (name === 'risk' || name === 'state') return app.word(`calls.${name}.${key}`, key);
    if (name === 'direction') return app.word(`call.direction.${key}`, key);
    if (name === 'language') return t(key === 'en' ? 'calls.language.en' : 'calls.language.zh');
    return names.get(key) ?? key;
  };
  const keys =
    name in FIXED
      ? [...FIXED[name as keyof typeof FIXED]]
      : // Of a category the first level is the sum of its second ones: they alone are enough to choose from.
        (known ?? []).map((f) => f.key).filter((key) => key !== '' && (name !== 'ticket' || key.startsWith('/')));
  const every = [...keys, ...chosen.filter((key) => !(keys as string[]).includes(key))];
  return every.map((key) => ({
    key,
    name: title(key),
    calls: known === undefined ? undefined : (calls.get(key) ?? 0),
  }));
}

function Menu({
  name,
  options,
  values,
  single,
  onPick,
}: {
  name: MenuName;
  options: readonly Option[];
  values: readonly string[];
  single: boolean;
  onPick: (values: readonly string[]) => void;
}) {
  const t = useApp().t.value;
  const box = useRef<HTMLDetailsElement>(null);
  const title = t(`calls.facet.${name}`);
  useEffect(() => {
    const close = (e: Event): void => {
      const open = box.current;
      if (open === null || !open.open || (e instanceof KeyboardEvent && e.key !== 'Escape')) return;
      if (!(e instanceof KeyboardEvent) && e.target instanceof Node && open.contains(e.target)) return;
      open.open = false;
      if (e instanceof KeyboardEvent) open.querySelector('summary')?.focus();
    };
    document.addEventListener('pointerdown', close);
    document.addEventListener('keydown', close);
    return () => {
      document.removeEventListener('pointerdown', close);
      document.removeEventListener('keydown', close);
    };
  }, []);
  const toggle = (key: string): void => {
    if (values.includes(key)) onPick(values.filter((value) => value !== key));
    else onPick(single ? [key] : [...values, key]);
  };
  const only = values.length === 1 ? options.find((o) => o.key === values[0])?.name : undefined;
  return (
    <details
      ref={box}
      class={values.length === 0 ? 'facet facet-menu' : 'facet facet-menu on'}
      data-testid={`facet-${name}`}
    >
      <summary>
        {title}
        {values.length > 0 && <strong>{only ?? t('calls.facet.several', { n: values.length })}</strong>}
      </summary>
      <fieldset class="facet-values">
        <legend class="sr-only">{title}</legend>
        {options.length === 0 && <p class="dim">{t('calls.facet.none')}</p>}
        {options.map((option) => (
          <label key={option.key} class={option.calls === 0 ? 'none' : undefined}>
            <input
              type="checkbox"
              checked={values.includes(option.key)}
              data-value={option.key}
              onChange={() => toggle(option.key)}
            />
            <span>{option.name}</span>
            {option.calls !== undefined && <span class="num dim">{option.calls.toLocaleString()}</span>}
          </label>
        ))}
      </fieldset>
    </details>
  );
}

/** The list as a file: what is shown, as it is narrowed. */
export function Export({ api, path, query }: { api: ConsoleApi; path: string; query: Query }) {
  const app = useApp();
  const t = app.t.value;
  return (
    <ExportMenu
      formats={FORMATS.map((one) => [one, t(`calls.export.${one}`)] as const)}
      write={(format) => api.export(path, query, format, app.language.value)}
      testid="export"
    />
  );
}
