import { effect } from '@preact/signals';
import { render } from 'preact';
import { useEffect, useState } from 'preact/hooks';
import { AgentPage } from './agent/AgentPage.tsx';
import { Enrol } from './auth/Enrol.tsx';
import { SignIn } from './auth/SignIn.tsx';
import { InsightsPage } from './console/InsightsPage.tsx';
import { OverviewPage } from './console/OverviewPage.tsx';
import { EmbedPage } from './embed/EmbedPage.tsx';
import { knowledgePage } from './kb/KnowledgePages.tsx';
import { TryPage } from './line/TryPage.tsx';
import { PackPage } from './packs/PackPage.tsx';
import { PacksPage } from './packs/PacksPage.tsx';
import { RunPage } from './packs/RunPage.tsx';
import { AppealPage } from './review/AppealPage.tsx';
import { CalibrationPage } from './review/CalibrationPage.tsx';
import { QueuePage } from './review/QueuePage.tsx';
import { ReviewPage } from './review/ReviewPage.tsx';
import { BoardPage } from './supervisor/BoardPage.tsx';
import { CallPage } from './supervisor/CallPage.tsx';
import { CallsPage } from './supervisor/CallsPage.tsx';
import { JobsPage } from './supervisor/Jobs.tsx';
import { WebhooksPage } from './supervisor/Webhooks.tsx';
import { App, AppProvider, homeOf, useApp } from './ui/app.ts';
import { Link, Notice, Shell } from './ui/Shell.tsx';
import './ui/base.css';
import './agent/agent.css';
import './line/line.css';
import './supervisor/supervisor.css';
import './review/review.css';
import './console/console.css';
import './packs/packs.css';

function Root() {
  const app = useApp();
  const path = app.path.value;
  const session = app.session.value;
  const [token, setToken] = useState('');
  useEffect(() => {
    if (path !== '/enrol' || location.hash.length < 2) return;
    setToken(decodeURIComponent(location.hash.slice(1)));
    // A one-time token has no place in the history.
    history.replaceState(null, '', '/enrol');
  }, [path]);
  useEffect(() => {
    if (session !== null && path === '/' && !app.framed) app.go(homeOf(session.user.roles), true);
  }, [app, path, session]);

  if (app.framed) return <EmbedPage host={new URLSearchParams(location.search).get('host') ?? ''} />;
  if (path === '/enrol') return token === '' && location.hash.length > 1 ? null : <Enrol key={token} token={token} />;
  if (session === null) {
    return (
      <>
        <SignIn />
        <Notice />
      </>
    );
  }
  if (path === '/') return null;
  if (path === '/agent') return <AgentPage />;
  if (path === '/try') return <TryPage />;
  if (path === '/board') return <BoardPage />;
  if (path === '/calls') return <CallsPage />;
  if (path === '/jobs') return <JobsPage />;
  if (path === '/webhooks') return <WebhooksPage />;
  if (path === '/overview') return <OverviewPage />;
  if (path === '/insights') return <InsightsPage />;
  if (path === '/qa') return <QueuePage />;
  if (path === '/packs') return <PacksPage />;
  const [, pack, run] =
    /^\/packs\/(rubric|taxonomy|compliance|sop|review|intents|lexicon|moods)(?:\/runs\/([^/]+))?$/.exec(path) ?? [];
  if (pack !== undefined && run !== undefined) return <RunPage key={run} pack={pack} runId={decodeURIComponent(run)} />;
  if (pack !== undefined) return <PackPage key={pack} name={pack} />;
  const [, area, name] = /^\/qa\/(reviews|appeals|calibrations)\/([^/]+)$/.exec(path) ?? [];
  if (name !== undefined) {
    const id = decodeURIComponent(name);
    if (area === 'reviews') return <ReviewPage key={id} reviewId={id} />;
    if (area === 'appeals') return <AppealPage key={id} appealId={id} />;
    return <CalibrationPage key={id} sessionId={id} />;
  }
  const knowledge = path.startsWith('/kb') ? knowledgePage(path, app.language.value) : null;
  if (knowledge !== null) return <>{knowledge}</>;
  const call = /^\/calls\/([^/]+)$/.exec(path)?.[1];
  if (call !== undefined) return <CallPage key={call} callId={decodeURIComponent(call)} />;
  return (
    <Shell>
      <main id="main" class="calls">
        <p class="empty big-empty">
          {app.t.value('nav.notfound')} · <Link to="/">{app.t.value('nav.home')}</Link>
        </p>
      </main>
    </Shell>
  );
}

/** A browser may keep storage from a page in somebody else's frame: then nothing outlives the page, and everything else works. */
function storage(open: () => Storage): Storage {
  try {
    return open();
  } catch {
    const kept = new Map<string, string>();
    return {
      get length() {
        return kept.size;
      },
      clear: () => kept.clear(),
      getItem: (key) => kept.get(key) ?? null,
      key: (n) => [...kept.keys()][n] ?? null,
      removeItem: (key) => void kept.delete(key),
      setItem: (key, value) => void kept.set(key, value),
    };
  }
}

const app = new App({
  local: storage(() => localStorage),
  session: storage(() => sessionStorage),
  location,
  history,
  languages: navigator.languages,
});
effect(() => {
  document.documentElement.lang = app.language.value === 'zh' ? 'zh-CN' : 'en';
  document.title = app.language.value === 'zh' ? '旁听' : 'Pangting';
});
effect(() => {
  if (app.theme.value === 'auto') delete document.documentElement.dataset.theme;
  else document.documentElement.dataset.theme = app.theme.value;
});
window.addEventListener('popstate', () => app.routeChanged());
const root = document.getElementById('app');
if (root !== null) {
  render(
    <AppProvider value={app}>
      <Root />
    </AppProvider>,
    root,
  );
}
