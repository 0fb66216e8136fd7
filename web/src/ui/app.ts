// Everything the pages share, made once in main.tsx and handed down by context: session, language, theme, route, bank labels, notices.
import { computed, effect, signal } from '@preact/signals';
import { createContext } from 'preact';
import { useContext } from 'preact/hooks';
import { type Action, type Keys, ownOnly, withDefaults } from '../core/keys.ts';
import { conceal } from '../core/text.ts';
import { type Language, lookup, type Translate, translator } from '../i18n/translate.ts';
import { Api, ApiError, type Labels, type PageCalls, type Preferences, type Session } from '../net/api.ts';

export type Theme = 'auto' | 'light' | 'dark';

const SESSION = 'pangting.session';
const LANGUAGE = 'pangting.language';
const THEME = 'pangting.theme';

const NO_LABELS: Labels = {
  intents: {},
  categories: {},
  causes: {},
  leads: {},
  category_tree: [],
  rubric_items: {},
  rubric_sections: {},
  checklists: [],
  compliance_rules: {},
};

const DEFAULT_PREFERENCES: Preferences = { keys: {}, style: 'standard' };

/** The way to the host page of an embedded sidebar. */
export interface HostLink {
  tell(message: { type: string; [field: string]: unknown }): void;
}

export interface Host {
  local: Storage;
  session: Storage;
  location: Location;
  history: History;
  languages: readonly string[];
}

export class App {
  readonly session = signal<Session | null>(null);
  readonly language = signal<Language>('zh');
  readonly theme = signal<Theme>('auto');
  readonly path = signal('/');
  /** The query of the address, with its question mark: what a page shows can be shared. */
  readonly query = signal('');
  readonly notice = signal<string>('');
  readonly expired = signal(false);
  readonly labels = signal<Labels>(NO_LABELS);
  /** Whether this person may call from a page; null until the server has said so. */
  readonly pageCalls = signal<PageCalls | null>(null);
  /** What this person has set for themselves; the defaults until the server has said. */
  readonly preferences = signal<Preferences>(DEFAULT_PREFERENCES);
  readonly keys = computed<Keys>(() => withDefaults(this.preferences.value.keys));
  /** An action a host page asks for (a chord pressed there); whoever does it sets it back to null. */
  readonly asked = signal<Action | null>(null);
  /** The page around this frame, if it is one that may embed the sidebar. */
  readonly host = signal<HostLink | null>(null);
  readonly t = computed<Translate>(() => translator(this.language.value));
  /** This is the sidebar in a frame of a host page: it stays the sidebar, whatever happens to the session. */
  readonly framed: boolean;
  readonly api: Api;
  readonly #host: Host;
  #noticeTimer: ReturnType<typeof setTimeout> | undefined;

  constructor(host: Host) {
    this.#host = host;
    this.session.value = readJson<Session>(host.session, SESSION);
    const language = host.local.getItem(LANGUAGE);
    this.language.value = language === 'zh' || language === 'en' ? language : preferred(host.languages);
    const theme = host.local.getItem(THEME);
    this.theme.value = theme === 'light' || theme === 'dark' ? theme : 'auto';
    this.path.value = host.location.pathname;
    this.query.value = host.location.search;
    this.framed = host.location.pathname === '/embed';
    this.api = new Api(
      (input, init) => fetch(input, init),
      () => this.session.value?.token ?? null,
      () => this.#expire(),
    );
    effect(() => {
      if (this.session.value === null) this.pageCalls.value = null;
      else void this.readPageCalls().catch(() => undefined);
    });
    effect(() => {
      if (this.session.value === null) this.preferences.value = DEFAULT_PREFERENCES;
      else void this.#loadPreferences();
    });
    effect(() => {
      const key = this.language.value;
      if (this.session.value !== null) void this.#loadLabels(key);
    });
  }

  signedIn(session: Session): void {
    this.#host.session.setItem(SESSION, JSON.stringify(session));
    this.expired.value = false;
    this.session.value = session;
  }

  async signOut(): Promise<void> {
    // Leaving must work without the server: the token also expires by itself.
    await this.api.logout().catch(() => undefined);
    this.#host.session.clear();
    this.session.value = null;
    this.labels.value = NO_LABELS;
    this.go('/');
  }

  setLanguage(language: Language): void {
    this.#host.local.setItem(LANGUAGE, language);
    this.language.value = language;
  }

  setTheme(theme: Theme): void {
    this.#host.local.setItem(THEME, theme);
    this.theme.value = theme;
  }

  go(path: string, replace = false): void {
    if (this.framed) return;
    if (replace) this.#host.history.replaceState(null, '', path);
    else if (path !== this.#host.location.pathname + this.#host.location.search)
      this.#host.history.pushState(null, '', path);
    this.routeChanged();
  }

  /** The browser went back or forward. */
  routeChanged(): void {
    this.path.value = this.#host.location.pathname;
    this.query.value = this.#host.location.search;
  }

  /** Keeps something small for this tab only (gone with the tab and at sign-out). */
  remember(key: string, value: string): void {
    this.#host.session.setItem(`pangting.${key}`, value);
  }
  recall(key: string): string | null {
    return this.#host.session.getItem(`pangting.${key}`);
  }
  forget(key: string): void {
    this.#host.session.removeItem(`pangting.${key}`);
  }

  say(text: string): void {
    clearTimeout(this.#noticeTimer);
    this.notice.value = text;
    this.#noticeTimer = setTimeout(() => {
      this.notice.value = '';
    }, 3000);
  }

  async copy(text: string): Promise<boolean> {
    const done = await copyText(text);
    this.say(this.t.value(done ? 'common.copied' : 'common.copyfailed'));
    return done;
  }

  describe(error: unknown): string {
    const t = this.t.value;
    if (!(error instanceof ApiError)) return t('error.unknown', { status: '?' });
    if (error.status === 0) return t('error.network');
    if (error.status === 403) return t('error.forbidden');
    return error.message || t('error.unknown', { status: error.status });
  }

  intentName(id: string): string {
    return this.labels.value.intents[id] ?? id;
  }
  categoryName(id: string): string {
    return this.labels.value.categories[id] ?? id;
  }
  /** A word whose key is made at run time, such as a slot's name. */
  word(key: string, fallback: string): string {
    return lookup(this.language.value, key, fallback);
  }
  /** Text typed by the agent, with known PII values put back into tokens before it leaves the page. */
  maskTyped(text: string, secrets: Readonly<Record<string, string>>): string {
    return conceal(text, secrets);
  }

  /** Takes effect at once; tells the person when the server could not keep it. */
  async prefer(change: Partial<Preferences>): Promise<void> {
    this.preferences.value = { ...this.preferences.value, ...change };
    try {
      await this.api.savePreferences(this.preferences.value);
    } catch (error) {
      this.say(this.describe(error));
    }
  }
  setKeys(keys: Keys): Promise<void> {
    return this.prefer({ keys: ownOnly(keys) });
  }

  async readPageCalls(): Promise<PageCalls> {
    const found = await this.api.microphone();
    this.pageCalls.value = found;
    return found;
  }

  async #loadPreferences(): Promise<void> {
    const session = this.session.value;
    try {
      const found = await this.api.preferences();
      if (this.session.value === session) this.preferences.value = { ...DEFAULT_PREFERENCES, ...found };
    } catch {
      // The defaults work, and the next sign-in asks again.
    }
  }

  async #loadLabels(language: Language): Promise<void> {
    try {
      const labels = await this.api.labels(language);
      if (this.language.value === language) this.labels.value = { ...NO_LABELS, ...labels };
    } catch {
      // Names fall back to ids; nothing else depends on them.
    }
  }

  #expire(): void {
    this.#host.session.removeItem(SESSION);
    this.expired.value = true;
    this.session.value = null;
  }
}

function preferred(languages: readonly string[]): Language {
  const first = languages.find((l) => l.startsWith('zh') || l.startsWith('en'));
  return first?.startsWith('en') ? 'en' : 'zh';
}

function readJson<T>(storage: Storage, key: string): T | null {
  try {
    return JSON.parse(storage.getItem(key) ?? 'null') as T | null;
  } catch {
    return null;
  }
}

async function copyText(text: string): Promise<boolean> {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    // Pages served over plain HTTP inside a bank have no clipboard API; the old way still works there.
    const area = document.createElement('textarea');
    const before = document.activeElement;
    area.value = text;
    area.className = 'sr-only';
    document.body.append(area);
    area.select();
    const done = document.execCommand('copy');
    area.remove();
    if (before instanceof HTMLElement) before.focus();
    return done;
  }
}

const AppContext = createContext<App | null>(null);
export const AppProvider = AppContext.Provider;

export function useApp(): App {
  const app = useContext(AppContext);
  if (app === null) throw new Error('no App above this component');
  return app;
}

export const REVIEWERS = ['team_lead', 'inspector', 'qa_lead', 'ops_admin', 'sys_admin', 'auditor', 'editor'];

/** Those who see after-call work and may have it done again. */
export function mayRerun(roles: readonly string[]): boolean {
  return roles.some((r) => r === 'team_lead' || r === 'inspector' || r === 'qa_lead' || r === 'ops_admin');
}

/** Those who run the server. */
export function mayConfigure(roles: readonly string[]): boolean {
  return roles.includes('sys_admin') || roles.includes('ops_admin');
}

/** Those who see the calls of others while they run. */
export function maySupervise(roles: readonly string[]): boolean {
  return roles.some((role) => ['team_lead', 'inspector', 'qa_lead', 'ops_admin'].includes(role));
}

/** Where a person starts: those who take calls at the sidebar, everybody else at the list. */
export function homeOf(roles: readonly string[]): string {
  return roles.includes('agent') && !roles.some((r) => REVIEWERS.includes(r)) ? '/agent' : '/calls';
}
