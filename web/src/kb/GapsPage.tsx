// What customers asked that nothing answered, from stored calls; one click begins an article with the question in it.
import { useState } from 'preact/hooks';
import type { Gap } from '../gen/types.ts';
import { useApp } from '../ui/app.ts';
import { Rich } from '../ui/Rich.tsx';
import { Frame, State, useKnowledge, useLoaded } from './Frame.tsx';
import { mayWrite } from './requests.ts';

export const DAYS = [7, 30, 90] as const;

export function DayPicker({ days, onPick }: { days: number; onPick: (days: number) => void }) {
  const t = useApp().t.value;
  return (
    <fieldset class="segmented">
      <legend class="sr-only">{t('kbc.days')}</legend>
      {DAYS.map((n) => (
        <button key={n} type="button" aria-pressed={days === n} onClick={() => onPick(n)}>
          {t('kbc.days.n', { n })}
        </button>
      ))}
    </fieldset>
  );
}

export function GapsPage() {
  const app = useApp();
  const t = app.t.value;
  const kb = useKnowledge();
  const [days, setDays] = useState(30);
  const report = useLoaded(() => kb.gaps(days), [days]);
  return (
    <Frame tab="gaps" actions={<DayPicker days={days} onPick={setDays} />}>
      <State of={report}>
        {(found) => (
          <>
            <p class="dim">
              {t('kbc.use.calls', { calls: found.calls, days: found.days })} {found.capped && t('kbc.use.capped')}
            </p>
            {found.gaps.length === 0 ? (
              <p class="empty big-empty" data-testid="kb-gaps-empty">
                {t('kbc.gaps.empty')}
              </p>
            ) : (
              <ol class="kb-gaps">
                {found.gaps.map((gap) => (
                  <GapCard key={gap.key} gap={gap} />
                ))}
              </ol>
            )}
          </>
        )}
      </State>
    </Frame>
  );
}

function GapCard({ gap }: { gap: Gap }) {
  const app = useApp();
  const t = app.t.value;
  const write = (): void => {
    const [question = '', ...others] = gap.examples;
    // For this tab only: the new page takes it up and forgets it.
    app.remember(
      'kb.new',
      JSON.stringify({
        language: gap.language,
        title: question,
        questions: others,
        intent: gap.intent,
        origin: gap.key,
      }),
    );
    app.go('/kb/new');
  };
  return (
    <li class="kb-panel kb-gap" data-testid="kb-gap">
      <div class="kb-count">
        <strong class="num">{gap.count}</strong>
        <span class="dim">{t('kbc.gaps.times')}</span>
      </div>
      <div>
        <h3>
          <Rich text={gap.examples[0] ?? ''} />
        </h3>
        {gap.examples.length > 1 && (
          <ul class="dim">
            {gap.examples.slice(1).map((text) => (
              <li key={text}>
                <Rich text={text} />
              </li>
            ))}
          </ul>
        )}
        <p class="dim">
          {gap.intent !== '' && <span class="chip static">{app.intentName(gap.intent)}</span>}{' '}
          {t('kbc.gaps.nothing', { n: gap.nothing })} · {t('kbc.gaps.rejected', { n: gap.rejected })} · {gap.first} –{' '}
          {gap.last}
        </p>
      </div>
      {mayWrite(app.session.value?.user.roles ?? []) && (
        <button type="button" class="primary" data-testid="kb-write" onClick={write}>
          {t('kbc.gaps.write')}
        </button>
      )}
    </li>
  );
}
