// The window of the insights page as its address says it. Pure.
import type { Query } from '../net/api.ts';

export const SPANS = [7, 28, 90] as const;
export const TABS = ['trends', 'complaints', 'agents', 'leads', 'reports'] as const;
export type Tab = (typeof TABS)[number];
const FILTERS = ['team', 'product', 'channel'] as const;
export type Filter = (typeof FILTERS)[number];
export const CHANNELS = ['inbound', 'outbound', 'imported'] as const;

export interface Window {
  tab: Tab;
  days: number;
  team: string;
  product: string;
  channel: string;
}

/** What an address asks for; what it does not know is left out. */
export function windowOf(query: string): Window {
  const given = new URLSearchParams(query);
  const days = Number(given.get('days'));
  return {
    tab: TABS.find((tab) => tab === given.get('tab')) ?? 'trends',
    days: SPANS.find((span) => span === days) ?? 7,
    team: given.get('team') ?? '',
    product: given.get('product') ?? '',
    channel: CHANNELS.find((one) => one === given.get('channel')) ?? '',
  };
}

/** The address of a window; what is usual is not said. */
export function insightsAddress(window: Window): string {
  const query = new URLSearchParams();
  if (window.tab !== 'trends') query.set('tab', window.tab);
  if (window.days !== 7) query.set('days', String(window.days));
  for (const name of FILTERS) if (window[name] !== '') query.set(name, window[name]);
  const text = query.toString();
  return text === '' ? '/insights' : `/insights?${text}`;
}

/** The request's parameters: whole days, the last of them yesterday (today's calls are not over). */
export function requestOf(window: Window, today: Date): Query {
  const day = (back: number): string => {
    const at = new Date(today.getFullYear(), today.getMonth(), today.getDate() - back);
    const two = (n: number): string => String(n).padStart(2, '0');
    return `${at.getFullYear()}-${two(at.getMonth() + 1)}-${two(at.getDate())}`;
  };
  return {
    since: day(window.days),
    until: day(1),
    team: window.team || undefined,
    product: window.product || undefined,
    channel: window.channel || undefined,
  };
}
