// What is wrong with a text; a click goes to the line.
import type { Fault } from '../net/packs.ts';
import { useApp } from '../ui/app.ts';
import { Icon } from '../ui/icons.tsx';
import { worded } from './worded.ts';

export function FaultList({ faults, onGo }: { faults: readonly Fault[] | null; onGo: (line: number) => void }) {
  const app = useApp();
  const t = app.t.value;
  return (
    <section class="panel" data-testid="pack-faults" data-count={faults?.length ?? ''} aria-live="polite">
      <h2>{t('packs.faults')}</h2>
      {faults === null && <p class="dim">{t('packs.faults.checking')}</p>}
      {faults?.length === 0 && (
        <p class="good">
          <Icon name="check" size={14} /> {t('packs.faults.none')}
        </p>
      )}
      {faults !== null && faults.length > 0 && (
        <ol class="fault-list">
          {faults.map((fault, i) => (
            <li key={i}>
              <button type="button" class="link" onClick={() => onGo(fault.line)}>
                {t('packs.fault.at', { line: fault.line, column: fault.column })}
              </button>{' '}
              <span class="dim">{fault.place}</span>
              <div>{worded(app, fault.message)}</div>
            </li>
          ))}
        </ol>
      )}
    </section>
  );
}
