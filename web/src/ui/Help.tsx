// What the keys do, and which keys they are: each action of the sidebar can be given another chord, kept for this person everywhere.
import { useState } from 'preact/hooks';
import { ACTIONS, type Action, chordOf, DEFAULT_KEYS, isPlain, refusal, SEARCH_CHORD } from '../core/keys.ts';
import type { Key } from '../i18n/translate.ts';
import { useApp } from './app.ts';
import { Dialog } from './Dialog.tsx';

export function HelpDialog({ onClose }: { onClose: () => void }) {
  const app = useApp();
  const t = app.t.value;
  const keys = app.keys.value;
  const [asking, setAsking] = useState<Action | null>(null);
  const [fault, setFault] = useState('');
  const changed = ACTIONS.some((action) => keys[action] !== DEFAULT_KEYS[action]);
  const elsewhere: [string, string][] = [
    ['j k Enter', t('help.list')],
    ['Space', t('help.play')],
    ['Alt+M', t('help.line')],
    ['Alt+Shift+M', t('help.line.end')],
  ];
  const take = (action: Action, e: KeyboardEvent): void => {
    const chord = chordOf(e);
    if (e.key === 'Tab') return;
    e.preventDefault();
    e.stopPropagation();
    if (e.key === 'Escape') {
      setAsking(null);
      return;
    }
    if (chord === null) return;
    const reason = refusal(action, chord, keys);
    if (reason !== null) {
      setFault(t(`keys.refused.${reason}`, { chord }));
      return;
    }
    setFault('');
    setAsking(null);
    void app.setKeys({ ...keys, [action]: chord });
  };
  return (
    <Dialog title={t('help.title')} onClose={onClose} testid="help">
      <dl class="keys">
        {ACTIONS.map((action) => (
          <div key={action}>
            <dt>
              <button
                type="button"
                class="key"
                data-testid={`key-${action}`}
                aria-label={`${t(`keys.${action}` as Key)} ${keys[action]} ${t('keys.change')}`}
                title={t('keys.change')}
                onClick={() => {
                  setFault('');
                  setAsking(action);
                }}
                onKeyDown={(e) => asking === action && take(action, e)}
                onBlur={() => setAsking(null)}
              >
                {asking === action ? t('keys.press') : <kbd>{keys[action]}</kbd>}
              </button>
            </dt>
            <dd>
              {t(`keys.${action}` as Key)}
              {action === 'search' && isPlain(keys.search) && <span class="dim"> · {SEARCH_CHORD}</span>}
            </dd>
          </div>
        ))}
      </dl>
      <p class="form-error" role="alert">
        {fault}
      </p>
      {changed && (
        <p>
          <button type="button" class="small" data-testid="keys-reset" onClick={() => void app.setKeys(DEFAULT_KEYS)}>
            {t('keys.reset')}
          </button>
        </p>
      )}
      <h3>{t('help.elsewhere')}</h3>
      <dl class="keys">
        {elsewhere.map(([chord, text]) => (
          <div key={chord}>
            <dt>
              <kbd>{chord}</kbd>
            </dt>
            <dd>{text}</dd>
          </div>
        ))}
      </dl>
      <p class="dim">{t('keys.host')}</p>
    </Dialog>
  );
}
