// A menu of file forms: choosing one has the server write the file, and says how that goes.
import { useState } from 'preact/hooks';
import { useApp } from '../ui/app.ts';

interface Props<F extends string> {
  /** Form and how it is named, in order. */
  formats: readonly (readonly [F, string])[];
  write: (format: F) => Promise<void>;
  testid: string;
}

export function ExportMenu<F extends string>({ formats, write, testid }: Props<F>) {
  const app = useApp();
  const t = app.t.value;
  const [busy, setBusy] = useState(false);
  const save = async (format: F): Promise<void> => {
    setBusy(true);
    app.say(t('calls.export.busy'));
    try {
      await write(format);
    } catch (e) {
      app.say(app.describe(e));
    } finally {
      setBusy(false);
    }
  };
  return (
    <label class="facet">
      <span class="sr-only">{t('calls.export')}</span>
      <select
        value=""
        disabled={busy}
        data-testid={testid}
        onChange={(e) => {
          const chosen = formats.find(([one]) => one === e.currentTarget.value);
          e.currentTarget.value = '';
          if (chosen !== undefined) void save(chosen[0]);
        }}
      >
        <option value="">{t('calls.export')}</option>
        {formats.map(([one, name]) => (
          <option key={one} value={one}>
            {name}
          </option>
        ))}
      </select>
    </label>
  );
}
