// Before a call: who speaks, from which microphone or file, in which language.
import { busy } from '../core/line.ts';
import type { Role } from '../core/linestate.ts';
import type { Language } from '../i18n/translate.ts';
import { useApp } from '../ui/app.ts';
import { Icon } from '../ui/icons.tsx';
import { DeviceSelect } from './DeviceSelect.tsx';
import { Trouble } from './Trouble.tsx';
import type { Telephone } from './telephone.ts';

export interface Choice {
  role: Role;
  kind: 'microphone' | 'file';
  /** '' is the system's choice. */
  deviceId: string;
  file: File | null;
  language: Language;
}

interface Props {
  phone: Telephone;
  choice: Choice;
  setChoice: (choice: Choice) => void;
  devices: readonly MediaDeviceInfo[];
  onStart: () => void;
}

export function Setup({ phone, choice, setChoice, devices, onStart }: Props) {
  const t = useApp().t.value;
  const line = phone.line.value;
  const waiting = busy(line);
  const change = (more: Partial<Choice>): void => setChoice({ ...choice, ...more });
  return (
    <div class="setup">
      <form
        data-testid="try-setup"
        onSubmit={(e) => {
          e.preventDefault();
          onStart();
        }}
      >
        <header>
          <h1>{t('try.title')}</h1>
          <p>{t('try.intro')}</p>
        </header>
        {line.problem !== null && <Trouble line={line} />}
        <fieldset disabled={waiting}>
          <legend>{t('try.role')}</legend>
          <div class="choices">
            {(['customer', 'agent'] as const).map((role) => (
              <label key={role} class="choice">
                <input
                  type="radio"
                  name="role"
                  data-testid={`try-role-${role}`}
                  checked={choice.role === role}
                  onChange={() => change({ role })}
                />
                <span>
                  {t(`channel.${role}`)} <small class="dim">{t(`try.role.${role}`)}</small>
                </span>
              </label>
            ))}
          </div>
        </fieldset>
        <fieldset disabled={waiting}>
          <legend>{t('try.source')}</legend>
          <div class="choices">
            {(['microphone', 'file'] as const).map((kind) => (
              <label key={kind} class="choice">
                <input
                  type="radio"
                  name="kind"
                  data-testid={`try-source-${kind}`}
                  checked={choice.kind === kind}
                  onChange={() => change({ kind })}
                />
                <span>
                  {t(`try.source.${kind}`)} <small class="dim">{t(`try.source.${kind}.hint`)}</small>
                </span>
              </label>
            ))}
          </div>
        </fieldset>
        <div class="details">
          {choice.kind === 'microphone' ? (
            <label for="try-device">
              {t('try.device')}
              <DeviceSelect
                id="try-device"
                devices={devices}
                deviceId={choice.deviceId}
                disabled={waiting}
                onDevice={(deviceId) => change({ deviceId })}
              />
            </label>
          ) : (
            <label>
              {t('try.file')}
              <input
                type="file"
                accept="audio/*"
                required
                disabled={waiting}
                data-testid="try-file"
                onChange={(e) => change({ file: e.currentTarget.files?.[0] ?? null })}
              />
            </label>
          )}
          <label>
            {t('try.language')}
            <select
              data-testid="try-language"
              disabled={waiting}
              value={choice.language}
              onChange={(e) => change({ language: e.currentTarget.value as Language })}
            >
              {(['zh', 'en'] as const).map((language) => (
                <option key={language} value={language}>
                  {t(`try.language.${language}`)}
                </option>
              ))}
            </select>
          </label>
        </div>
        <div class="go">
          {/* Not disabled while it waits: a disabled button would lose the focus. */}
          <button
            type="submit"
            class="primary big"
            data-testid="try-start"
            aria-keyshortcuts="Alt+M"
            aria-disabled={waiting}
            disabled={choice.kind === 'file' && choice.file === null}
          >
            <Icon name="microphone" /> {t('try.start')}
          </button>
          {waiting && (
            <button type="button" class="big" data-testid="try-cancel" onClick={() => phone.input({ type: 'end' })}>
              {t('common.cancel')}
            </button>
          )}
          <p class="dim" role="status" data-testid="try-status">
            {waiting && t(line.phase === 'asking' ? 'try.asking' : 'try.connecting')}
          </p>
        </div>
        <p class="dim small-print">{t('try.privacy')}</p>
        <p class="dim small-print">
          <kbd>Alt+M</kbd> {t('try.keys')} · <kbd>Alt+Shift+M</kbd> {t('try.end')}
        </p>
      </form>
    </div>
  );
}
