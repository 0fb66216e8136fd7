// First sign-in with a one-time link: /enrol#<token>. The token leaves the address bar as soon as it is read.
import { useEffect, useState } from 'preact/hooks';
import { moment } from '../core/format.ts';
import type { Enrolment } from '../net/api.ts';
import { ApiError } from '../net/api.ts';
import { homeOf, useApp } from '../ui/app.ts';
import { ErrorBox, Skeleton } from '../ui/Shell.tsx';
import { Front } from './SignIn.tsx';

export const MIN_PASSWORD = 12;

export function Enrol({ token }: { token: string }) {
  const app = useApp();
  const t = app.t.value;
  const [invite, setInvite] = useState<Enrolment | null>(null);
  const [failed, setFailed] = useState<unknown>(null);
  const [username, setUsername] = useState('');
  const [password, setPassword] = useState('');
  const [repeat, setRepeat] = useState('');
  const [error, setError] = useState('');
  const [busy, setBusy] = useState(false);
  useEffect(() => {
    app.api
      .enrolment(token)
      .then((found) => {
        setInvite(found);
        setUsername(found.username);
      })
      .catch((e: unknown) => setFailed(e));
  }, [app, token]);
  const submit = async (): Promise<void> => {
    if (password.length < MIN_PASSWORD) return setError(t('enrol.short'));
    if (password !== repeat) return setError(t('enrol.mismatch'));
    setBusy(true);
    setError('');
    try {
      const session = await app.api.enrol(token, username.trim(), password);
      app.signedIn(session);
      app.go(homeOf(session.user.roles), true);
    } catch (e) {
      setError(app.describe(e));
      setBusy(false);
    }
  };
  if (failed instanceof ApiError && failed.status === 404) {
    return (
      <Front title={t('enrol.title')}>
        <p role="alert" data-testid="enrol-invalid">
          {t('enrol.invalid')}
        </p>
      </Front>
    );
  }
  return (
    <Front title={t('enrol.title')}>
      {failed !== null && <ErrorBox error={failed} />}
      {failed === null && invite === null && <Skeleton />}
      {invite !== null && (
        <form
          data-testid="enrol"
          onSubmit={(e) => {
            e.preventDefault();
            void submit();
          }}
        >
          <p>{t('enrol.welcome', { name: invite.display_name || invite.username })}</p>
          <label>
            {t('signin.username')}
            <input
              name="username"
              autocomplete="username"
              autocapitalize="none"
              required
              data-testid="enrol-username"
              value={username}
              onInput={(e) => setUsername(e.currentTarget.value)}
            />
          </label>
          <label>
            {t('enrol.password')}
            <input
              name="password"
              type="password"
              autocomplete="new-password"
              required
              aria-describedby="password-rule"
              data-testid="enrol-password"
              value={password}
              onInput={(e) => setPassword(e.currentTarget.value)}
            />
          </label>
          <p class="dim small-print" id="password-rule">
            {t('enrol.rule')}
          </p>
          <label>
            {t('enrol.repeat')}
            <input
              name="repeat"
              type="password"
              autocomplete="new-password"
              required
              data-testid="enrol-repeat"
              value={repeat}
              onInput={(e) => setRepeat(e.currentTarget.value)}
            />
          </label>
          <p class="form-error" role="alert" data-testid="enrol-error">
            {error}
          </p>
          <button type="submit" class="primary big" disabled={busy} data-testid="enrol-submit">
            {t('enrol.submit')}
          </button>
          <p class="dim small-print">
            {t('enrol.expires', { when: moment(invite.expires_at, app.language.value, new Date()) })}
          </p>
        </form>
      )}
    </Front>
  );
}
