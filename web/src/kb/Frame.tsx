// The frame of the knowledge console: its tabs, and what every page of it needs (loading, failure, keys in lists).
import type { ComponentChildren } from 'preact';
import { useCallback, useEffect, useMemo, useRef, useState } from 'preact/hooks';
import type { Key } from '../i18n/translate.ts';
import { useApp } from '../ui/app.ts';
import { typing } from '../ui/keys.ts';
import { ErrorBox, Link, Shell, Skeleton } from '../ui/Shell.tsx';
import { Knowledge } from './requests.ts';

const TABS = ['articles', 'import', 'review', 'search', 'graph', 'gaps', 'use'] as const;
export type Tab = (typeof TABS)[number];
const PATHS: Record<Tab, string> = {
  articles: '/kb',
  import: '/kb/import',
  review: '/kb/review',
  search: '/kb/search',
  graph: '/kb/graph',
  gaps: '/kb/gaps',
  use: '/kb/use',
};

export function Frame({
  tab,
  children,
  actions,
}: {
  tab: Tab;
  children: ComponentChildren;
  actions?: ComponentChildren;
}) {
  const t = useApp().t.value;
  return (
    <Shell>
      <main id="main" class="calls kb" data-testid={`kb-${tab}`}>
        <header class="page-head">
          <h1>{t('kbc.title')}</h1>
          <nav class="segmented" aria-label={t('kbc.title')}>
            {TABS.map((name) => (
              <Link key={name} to={PATHS[name]} current={name === tab}>
                {t(`kbc.tab.${name}` as Key)}
              </Link>
            ))}
          </nav>
          <span class="grow" />
          {actions}
        </header>
        {children}
      </main>
    </Shell>
  );
}

export function useKnowledge(): Knowledge {
  const app = useApp();
  return useMemo(() => new Knowledge(app.api), [app]);
}

export interface Loaded<T> {
  value: T | null;
  error: unknown;
  again: () => void;
  set: (value: T) => void;
}

/** What ``read`` gives; read again when ``keys`` change. An answer that comes too late is dropped. */
export function useLoaded<T>(read: () => Promise<T>, keys: readonly unknown[]): Loaded<T> {
  const [value, set] = useState<T | null>(null);
  const [error, setError] = useState<unknown>(null);
  const [round, setRound] = useState(0);
  useEffect(() => {
    let current = true;
    setError(null);
    read().then(
      (found) => current && set(found),
      (fault: unknown) => current && setError(fault),
    );
    return () => {
      current = false;
    };
  }, [...keys, round]);
  const again = useCallback(() => setRound((n) => n + 1), []);
  return { value, error, again, set };
}

export function State<T>({
  of,
  lines = 6,
  children,
}: {
  of: Loaded<T>;
  lines?: number;
  children: (value: T) => ComponentChildren;
}) {
  if (of.error !== null) return <ErrorBox error={of.error} onRetry={of.again} />;
  if (of.value === null) return <Skeleton lines={lines} />;
  return <>{children(of.value)}</>;
}

/** j and k move through the links with class ``row-link`` inside the element; Enter is the link's own. */
export function useRowKeys<E extends HTMLElement>() {
  const box = useRef<E>(null);
  useEffect(() => {
    const onKey = (e: KeyboardEvent): void => {
      if (e.ctrlKey || e.metaKey || e.altKey || typing(e.target) || (e.key !== 'j' && e.key !== 'k')) return;
      const rows = [...(box.current?.querySelectorAll<HTMLElement>('.row-link') ?? [])];
      if (rows.length === 0) return;
      const at = rows.indexOf(document.activeElement as HTMLElement);
      const next = at < 0 ? 0 : Math.min(rows.length - 1, Math.max(0, at + (e.key === 'j' ? 1 : -1)));
      rows[next]?.focus();
      e.preventDefault();
    };
    document.addEventListener('keydown', onKey);
    return () => document.removeEventListener('keydown', onKey);
  }, []);
  return box;
}

export function StateChip({ state }: { state: string }) {
  const t = useApp().t.value;
  return (
    <span class={`kb-state ${state}`} data-testid="kb-state">
      <i aria-hidden="true" /> {t(`kbc.state.${state}` as Key)}
    </span>
  );
}

export function articlePath(id: string, language: string): string {
  return `/kb/articles/${language}/${encodeURIComponent(id)}`;
}
