// The sidebar in a frame of a host page. It says nothing to a page that the server does not allow, and believes only that page's messages.
import { effect } from '@preact/signals';
import { useEffect, useState } from 'preact/hooks';
import { AgentPage } from '../agent/AgentPage.tsx';
import { SignIn } from '../auth/SignIn.tsx';
import { ACTIONS } from '../core/keys.ts';
import { useApp } from '../ui/app.ts';
import { Notice, Skeleton } from '../ui/Shell.tsx';
import { type FromFrame, type FromHost, readMessage, VERSION } from './messages.ts';

/** How long the host has to give a token before the agent is asked to sign in by hand. */
const TOKEN_MS = 3000;

type Standing = 'checking' | 'alone' | 'refused' | 'allowed' | 'unreachable';

export function EmbedPage({ host }: { host: string }) {
  const app = useApp();
  const t = app.t.value;
  const [standing, setStanding] = useState<Standing>(window.parent === window ? 'alone' : 'checking');
  const [byHand, setByHand] = useState(false);
  const session = app.session.value;

  useEffect(() => {
    if (window.parent === window) return;
    let gone = false;
    const ask = (): void => {
      app.api
        .mayEmbed(host)
        .then((allowed) => !gone && setStanding(allowed ? 'allowed' : 'refused'))
        .catch(() => {
          if (gone) return;
          setStanding('unreachable');
          setTimeout(ask, 5000);
        });
    };
    ask();
    return () => {
      gone = true;
    };
  }, [app, host]);

  useEffect(() => {
    if (standing !== 'allowed') return;
    const tell = (message: FromFrame): void => window.parent.postMessage(message, host);
    const onMessage = (event: MessageEvent): void => {
      if (event.origin !== host || event.source !== window.parent) return;
      const message = readMessage<FromHost>(event.data);
      if (message?.type === 'hello') {
        if (message.language === 'zh' || message.language === 'en') app.language.value = message.language;
        if (message.theme === 'light' || message.theme === 'dark') app.theme.value = message.theme;
      } else if (message?.type === 'token' && app.session.value === null) {
        app.api
          .hostSignIn(message.token, event.origin)
          .then((found) => app.signedIn(found))
          .catch(() => setByHand(true));
      } else if (message?.type === 'chord' && ACTIONS.includes(message.action)) app.asked.value = message.action;
    };
    window.addEventListener('message', onMessage);
    app.host.value = { tell: (message) => tell({ pangting: VERSION, ...message } as FromFrame) };
    const sayKeys = effect(() => tell({ pangting: VERSION, type: 'ready', keys: app.keys.value }));
    return () => {
      window.removeEventListener('message', onMessage);
      app.host.value = null;
      sayKeys();
    };
  }, [app, host, standing]);

  // Also when a session has run out during the day: the host is asked again before the agent is.
  useEffect(() => {
    if (standing !== 'allowed') return;
    if (session !== null) {
      app.host.value?.tell({ type: 'signed_in', username: session.user.username });
      return;
    }
    setByHand(false);
    app.host.value?.tell({ type: 'token_wanted' });
    const timer = setTimeout(() => setByHand(true), TOKEN_MS);
    return () => clearTimeout(timer);
  }, [app, standing, session]);

  if (standing === 'allowed' && session !== null) return <AgentPage />;
  if (standing === 'allowed' && byHand) {
    return (
      <>
        <SignIn />
        <Notice />
      </>
    );
  }
  return (
    <main id="main" class="idle" data-testid="embed" data-standing={standing}>
      {standing === 'refused' && (
        <>
          <h1>{t('embed.refused')}</h1>
          <p class="dim">{t('embed.refused.fix', { host })}</p>
        </>
      )}
      {standing === 'alone' && (
        <p>
          {t('embed.alone')} <a href="/agent">{t('nav.agent')}</a>
        </p>
      )}
      {standing === 'unreachable' && <p role="alert">{t('error.network')}</p>}
      {(standing === 'checking' || standing === 'allowed') && <Skeleton lines={4} />}
    </main>
  );
}
