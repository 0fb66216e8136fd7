// The frame of every signed-in page: a slim top bar, the notice line, the page.
import type { ComponentChildren } from 'preact';
import { mayRead } from '../kb/requests.ts';
import { mayReadPacks } from '../net/packs.ts';
import { mayConfigure, mayRerun, maySupervise, type Theme, useApp } from './app.ts';
import { Icon } from './icons.tsx';
import { NoticeBell } from './Notices.tsx';

export function Link({
  to,
  children,
  class: cls,
  current,
}: {
  to: string;
  children: ComponentChildren;
  class?: string;
  current?: boolean;
}) {
  const app = useApp();
  return (
    <a
      href={to}
      class={cls}
      aria-current={current ? 'page' : undefined}
      onClick={(e) => {
        if (e.metaKey || e.ctrlKey || e.shiftKey || e.button !== 0) return;
        e.preventDefault();
        app.go(to);
      }}
    >
      {children}
    </a>
  );
}

const SUPERVISORS = ['team_lead', 'inspector', 'qa_lead', 'ops_admin'];

const NEXT: Record<Theme, Theme> = { auto: 'light', light: 'dark', dark: 'auto' };

export function Settings() {
  const app = useApp();
  const t = app.t.value;
  return (
    <>
      <button
        type="button"
        class="quiet"
        data-testid="language-switch"
        aria-label={`${t('settings.language')} ${t('settings.language.label')}`}
        lang={app.language.value === 'zh' ? 'en' : 'zh-CN'}
        onClick={() => app.setLanguage(app.language.value === 'zh' ? 'en' : 'zh')}
      >
        {t('settings.language')}
      </button>
      <button
        type="button"
        class="quiet"
        data-testid="theme-switch"
        title={`${t('settings.theme')}: ${t(`settings.theme.${app.theme.value}`)}`}
        aria-label={`${t('settings.theme')}: ${t(`settings.theme.${app.theme.value}`)}`}
        onClick={() => app.setTheme(NEXT[app.theme.value])}
      >
        <Icon name="theme" />
      </button>
    </>
  );
}

export function Mark() {
  return (
    <svg class="mark" width="22" height="22" viewBox="0 0 32 32" aria-hidden="true" focusable="false">
      <rect width="32" height="32" rx="8" fill="currentColor" />
      <path
        d="M8 13v6M13 9v14M18 12v8M23.500 14.500v3"
        fill="none"
        stroke="var(--on-accent)"
        stroke-width="2.600"
        stroke-linecap="round"
      />
    </svg>
  );
}

/** Where this person may go. */
function Nav() {
  const app = useApp();
  const t = app.t.value;
  const path = app.path.value;
  const roles = app.session.value?.user.roles ?? [];
  // Those who can switch it on find it also while it is off.
  const offered = (app.pageCalls.value?.calls_each ?? 0) > 0 || path === '/try' || mayConfigure(roles);
  return (
    <nav aria-label={t('nav.main')}>
      <Link to="/agent" current={path === '/agent'}>
        {t('nav.agent')}
      </Link>
      {roles.some((r) => SUPERVISORS.includes(r)) && (
        <Link to="/overview" current={path === '/overview'}>
          {t('nav.overview')}
        </Link>
      )}
      {roles.some((r) => SUPERVISORS.includes(r)) && (
        <Link to="/insights" current={path === '/insights'}>
          {t('nav.insights')}
        </Link>
      )}
      {maySupervise(roles) && (
        <Link to="/board" current={path === '/board'}>
          {t('nav.board')}
        </Link>
      )}
      <Link to="/calls" current={path.startsWith('/calls')}>
        {t('nav.calls')}
      </Link>
      {mayRerun(roles) && (
        <Link to="/jobs" current={path === '/jobs'}>
          {t('nav.jobs')}
        </Link>
      )}
      {mayConfigure(roles) && (
        <Link to="/webhooks" current={path === '/webhooks'}>
          {t('nav.webhooks')}
        </Link>
      )}
      {roles.some((r) => r !== 'editor' && r !== 'sys_admin' && r !== 'auditor') && (
        <Link to="/qa" current={path.startsWith('/qa')}>
          {t('nav.qa')}
        </Link>
      )}
      {mayRead(roles) && (
        <Link to="/kb" current={path.startsWith('/kb')}>
          {t('nav.kb')}
        </Link>
      )}
      {mayReadPacks(roles) && (
        <Link to="/packs" current={path.startsWith('/packs')}>
          {t('nav.packs')}
        </Link>
      )}
      {offered && (
        <Link to="/try" current={path === '/try'}>
          {t('nav.try')}
        </Link>
      )}
    </nav>
  );
}

export function Shell({ children, extra }: { children: ComponentChildren; extra?: ComponentChildren }) {
  const app = useApp();
  const t = app.t.value;
  const user = app.session.value?.user;
  return (
    <>
      <a class="skip" href="#main">
        {t('nav.skip')}
      </a>
      <header class="top">
        <Mark />
        {app.framed ? <strong>{t('app.name')}</strong> : <Nav />}
        <span class="grow" />
        {extra}
        {!app.framed && <NoticeBell />}
        <Settings />
        <button
          type="button"
          class="quiet user"
          data-testid="sign-out"
          title={t('nav.signout')}
          onClick={() => void app.signOut()}
        >
          <span class="user-name">{user?.display_name}</span>
          <span class="sr-only">{t('nav.signout')}</span>
          <svg class="icon" width="16" height="16" viewBox="0 0 16 16" aria-hidden="true" focusable="false">
            <path
              d="M6.500 2.500h-3v11h3M6.500 8h7M11 5.500L13.500 8 11 10.500"
              fill="none"
              stroke="currentColor"
              stroke-width="1.500"
              stroke-linecap="round"
              stroke-linejoin="round"
            />
          </svg>
        </button>
      </header>
      {children}
      <Notice />
    </>
  );
}

export function Notice() {
  const app = useApp();
  return (
    <div class={`notice${app.notice.value ? ' on' : ''}`} role="status" aria-live="polite" data-testid="notice">
      {app.notice.value}
    </div>
  );
}

export function ErrorBox({ error, onRetry }: { error: unknown; onRetry?: () => void }) {
  const app = useApp();
  return (
    <div class="error-box" role="alert" data-testid="error">
      <p>{app.describe(error)}</p>
      {onRetry && (
        <button type="button" onClick={onRetry}>
          {app.t.value('common.retry')}
        </button>
      )}
    </div>
  );
}

export function Skeleton({ lines = 3 }: { lines?: number }) {
  const app = useApp();
  return (
    <div class="skeleton" role="status" aria-label={app.t.value('common.loading')}>
      {Array.from({ length: lines }, (_, i) => (
        <span key={i} style={{ width: `${92 - ((i * 23) % 45)}%` }} />
      ))}
    </div>
  );
}
