import type { ComponentChildren } from 'preact';
import { useState } from 'preact/hooks';
import { ApiError } from '../net/api.ts';
import { homeOf, useApp } from '../ui/app.ts';
import { Mark, Settings } from '../ui/Shell.tsx';

export function Front({ title, children }: { title: string; children: ComponentChildren }) {
  const t = useApp().t.value;
  return (
    <div class="front">
      <div class="front-settings">
        <Settings />
      </div>
      <main id="main" class="front-card">
        <p class="brand">
          <Mark /> {t('app.name')}
        </p>
        <h1>{title}</h1>
        {children}
      </main>
    </div>
  );
}

export function SignIn() {
  const app = useApp();
  const t = app.t.value;
  const [username, setUsername] = useState('');
  const [password, setPassword] = useState('');
  const [busy, setBusy] = useState(false);
  const [error, setError] = useState('');
  const submit = async (): Promise<void> => {
    setBusy(true);
    setError('');
    try {
      const session = await app.api.login(username.trim(), password);
      app.signedIn(session);
      if (app.path.value === '/') app.go(homeOf(session.user.roles), true);
    } catch (e) {
      setError(e instanceof ApiError && e.status === 401 ? t('signin.wrong') : app.describe(e));
      setBusy(false);
    }
  };
  return (
    <Front title={t('signin.title')}>
      {app.expired.value && error === '' && <p class="dim">{t('signin.expired')}</p>}
      <form
        data-testid="signin"
        onSubmit={(e) => {
          e.preventDefault();
          void submit();
        }}
      >
        <label>
          {t('signin.username')}
          <input
            name="username"
            autocomplete="username"
            autocapitalize="none"
            spellcheck={false}
            required
            data-testid="signin-username"
            value={username}
            onInput={(e) => setUsername(e.currentTarget.value)}
          />
        </label>
        <label>
          {t('signin.password')}
          <input
            name="password"
            type="password"
            autocomplete="current-password"
            required
            data-testid="signin-password"
            value={password}
            onInput={(e) => setPassword(e.currentTarget.value)}
          />
        </label>
        <p class="form-error" role="alert" data-testid="signin-error">
          {error}
        </p>
        <button type="submit" class="primary big" disabled={busy} data-testid="signin-submit">
          {t(busy ? 'signin.busy' : 'signin.submit')}
        </button>
      </form>
      <p class="dim small-print">{t('signin.hint')}</p>
    </Front>
  );
}
