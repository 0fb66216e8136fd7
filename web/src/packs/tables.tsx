// The tables of a dry run.
import { useState } from 'preact/hooks';
import type { Counts, LiveCounts, RunResult } from '../net/packs.ts';
import type { Agreement } from '../net/qa.ts';
import { useApp } from '../ui/app.ts';
import { Link } from '../ui/Shell.tsx';
import { nameOf } from './RunPage.tsx';

const ANSWERS: Readonly<Record<string, readonly string[]>> = {
  rubric: ['pass', 'fail', 'na', 'not_scorable'],
  taxonomy: ['calls'],
  compliance: ['alerts', 'calls'],
  sop: ['done', 'open'],
};

interface LinesProps {
  pack: string;
  runId: string;
  lines: readonly Counts[];
  chosen: string;
}

export function Lines({ pack, runId, lines, chosen }: LinesProps) {
  const app = useApp();
  const t = app.t.value;
  const [all, setAll] = useState(false);
  const moved = lines.filter((line) => line.changed > 0);
  const shown = all ? lines : moved;
  const answers = ANSWERS[pack] ?? [];
  const title = (answer: string): string =>
    pack === 'rubric' ? app.word(`qa.${answer}`, answer) : app.word(`packs.answer.${answer}`, answer);
  return (
    <section data-testid="run-lines">
      <header class="counts">
        <h2>{t('packs.lines')}</h2>
        <label class="check">
          <input type="checkbox" checked={all} onChange={(e) => setAll(e.currentTarget.checked)} />{' '}
          {t('packs.lines.all', { n: lines.length })}
        </label>
      </header>
      {shown.length === 0 ? (
        <p class="empty" data-testid="run-same">
          {t('packs.lines.same')}
        </p>
      ) : (
        <div class="table-wrap">
          <table>
            <thead>
              <tr>
                <th scope="col">{t('packs.lines.what')}</th>
                {answers.map((answer) => (
                  <th key={answer} scope="col" class="right">
                    {title(answer)}
                  </th>
                ))}
                <th scope="col" class="right">
                  {t('packs.lines.changed')}
                </th>
              </tr>
            </thead>
            <tbody>
              {shown.map((line) => (
                <tr key={line.key} aria-current={line.key === chosen ? 'true' : undefined}>
                  <th scope="row">{nameOf(app, pack, line.key)}</th>
                  {answers.map((answer) => {
                    const [before, after] = [line.before[answer] ?? 0, line.after[answer] ?? 0];
                    return (
                      <td key={answer} class={`num right${before === after ? ' dim' : ''}`}>
                        {before === after ? before : `${before} → ${after}`}
                      </td>
                    );
                  })}
                  <td class="num right">
                    {line.changed === 0 ? (
                      <span class="dim">0</span>
                    ) : (
                      <Link to={`/packs/${pack}/runs/${runId}?key=${encodeURIComponent(line.key)}`}>
                        {line.changed}
                      </Link>
                    )}
                  </td>
                </tr>
              ))}
            </tbody>
          </table>
        </div>
      )}
    </section>
  );
}

const share = (value: number | null): string => (value === null ? '–' : `${(value * 100).toFixed(1)}%`);
const kappa = (value: number | null): string => (value === null ? '–' : value.toFixed(2));

export function AgreementChange({ pack, agreement }: { pack: string; agreement: NonNullable<RunResult['agreement']> }) {
  const app = useApp();
  const t = app.t.value;
  const figures: readonly ((a: Agreement) => string)[] = [
    (a) => share(a.percent),
    (a) => kappa(a.kappa),
    (a) => kappa(a.weighted),
  ];
  const rows = Object.entries(agreement.questions);
  const all = agreement.overall === null ? rows : [['', agreement.overall] as const, ...rows];
  return (
    <section data-testid="run-agreement">
      <h2>{t('packs.agreement')}</h2>
      <p class="dim">
        {t(pack === 'taxonomy' ? 'packs.agreement.agents' : 'packs.agreement.people', { n: agreement.calls })}
      </p>
      <div class="table-wrap">
        <table>
          <thead>
            <tr>
              <th scope="col">{t('packs.lines.what')}</th>
              {(['pairs', 'percent'] as const).map((name) => (
                <th key={name} scope="col" class="right">
                  {t(`agreement.${name}`)}
                </th>
              ))}
              <th scope="col" class="right">
                Cohen κ
              </th>
              <th scope="col" class="right">
                {t('agreement.weighted')}
              </th>
            </tr>
          </thead>
          <tbody>
            {all.map(([key, found]) => (
              <tr key={key} class={key === '' ? 'total' : undefined}>
                <th scope="row">{key === '' ? t('agreement.all') : nameOf(app, pack, key)}</th>
                <Moved before={String(found.before.pairs)} after={String(found.after.pairs)} />
                {figures.map((figure, i) => (
                  <Moved key={i} before={figure(found.before)} after={figure(found.after)} />
                ))}
              </tr>
            ))}
          </tbody>
        </table>
      </div>
    </section>
  );
}

function Moved({ before, after }: { before: string; after: string }) {
  return (
    <td class={`num right${before === after ? ' dim' : ''}`}>{before === after ? before : `${before} → ${after}`}</td>
  );
}

const LIVE = ['live', 'after', 'both', 'only_live', 'only_after', 'calls', 'calls_differing'] as const;

export function LiveAgainstAfter({ lines }: { lines: readonly LiveCounts[] }) {
  const app = useApp();
  const t = app.t.value;
  const heard = lines.filter((line) => line.live + line.after > 0);
  const total = Object.fromEntries(LIVE.map((name) => [name, heard.reduce((sum, line) => sum + line[name], 0)]));
  return (
    <section data-testid="run-live">
      <h2>{t('packs.live')}</h2>
      <p class="dim">{t('packs.live.note')}</p>
      {heard.length === 0 ? (
        <p class="empty">{t('packs.live.none')}</p>
      ) : (
        <div class="table-wrap">
          <table>
            <thead>
              <tr>
                <th scope="col">{t('packs.live.rule')}</th>
                {LIVE.map((name) => (
                  <th key={name} scope="col" class="right">
                    {t(`packs.live.${name}`)}
                  </th>
                ))}
              </tr>
            </thead>
            <tbody>
              <tr class="total">
                <th scope="row">{t('packs.live.all')}</th>
                {LIVE.map((name) => (
                  <td key={name} class="num right">
                    {name.startsWith('calls') ? '' : total[name]}
                  </td>
                ))}
              </tr>
              {heard.map((line) => (
                <tr key={line.key}>
                  <th scope="row">{nameOf(app, 'compliance', line.key)}</th>
                  {LIVE.map((name) => (
                    <td key={name} class={`num right${line[name] === 0 ? ' dim' : ''}`}>
                      {line[name]}
                    </td>
                  ))}
                </tr>
              ))}
            </tbody>
          </table>
        </div>
      )}
    </section>
  );
}
