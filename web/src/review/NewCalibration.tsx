// Opens a calibration: which calls, which inspectors, until when.
import { useCallback, useState } from 'preact/hooks';
import type { QaApi } from '../net/qa.ts';
import { useApp } from '../ui/app.ts';
import { Dialog } from '../ui/Dialog.tsx';
import { Skeleton } from '../ui/Shell.tsx';
import { useLoaded } from './QueuePage.tsx';

export function NewCalibration({ qa, onClose, onMade }: { qa: QaApi; onClose: () => void; onMade: () => void }) {
  const app = useApp();
  const t = app.t.value;
  const [name, setName] = useState('');
  const [calls, setCalls] = useState('');
  const [days, setDays] = useState(5);
  const [chosen, setChosen] = useState<readonly string[]>([]);
  const [fault, setFault] = useState('');
  const { value } = useLoaded(useCallback(() => qa.inspectors(), [qa]));
  const ids = calls.split(/[\s,，]+/).filter((one) => one !== '');
  const submit = async (): Promise<void> => {
    try {
      await qa.openCalibration(name, ids, chosen, days);
      onMade();
    } catch (e) {
      setFault(app.describe(e));
    }
  };
  return (
    <Dialog title={t('calibration.new')} onClose={onClose} testid="calibration-form" wide>
      <form
        onSubmit={(e) => {
          e.preventDefault();
          void submit();
        }}
      >
        <label>
          {t('calibration.name')}
          <input value={name} required maxLength={200} onInput={(e) => setName(e.currentTarget.value)} />
        </label>
        <label>
          {t('calibration.calls')}
          <textarea
            rows={3}
            value={calls}
            data-testid="calibration-calls"
            onInput={(e) => setCalls(e.currentTarget.value)}
          />
        </label>
        <fieldset class="checks">
          <legend>{t('calibration.inspectors')}</legend>
          {value === null ? (
            <Skeleton lines={2} />
          ) : (
            value.inspectors.map((p) => (
              <label key={p.user_id} class="check">
                <input
                  type="checkbox"
                  checked={chosen.includes(p.user_id)}
                  onChange={(e) =>
                    setChosen(
                      e.currentTarget.checked ? [...chosen, p.user_id] : chosen.filter((one) => one !== p.user_id),
                    )
                  }
                />{' '}
                {p.name}
              </label>
            ))
          )}
        </fieldset>
        <label>
          {t('calibration.days')}
          <input type="number" min={1} max={60} value={days} onInput={(e) => setDays(Number(e.currentTarget.value))} />
        </label>
        <p class="form-error" role="alert">
          {fault}
        </p>
        <button
          type="submit"
          class="primary big"
          disabled={name.trim() === '' || ids.length === 0 || chosen.length < 2}
        >
          {t('calibration.start')}
        </button>
      </form>
    </Dialog>
  );
}
