// Asking the bank's own systems: a question over allowed views, or a declared look-up, confirmed where it is about a customer.
import { useEffect, useRef, useState } from 'preact/hooks';
import { useApp } from '../ui/app.ts';
import { Dialog } from '../ui/Dialog.tsx';
import { Icon } from '../ui/icons.tsx';
import { Skeleton } from '../ui/Shell.tsx';
import { ask, asTable, faulty, type LookUp, lookUp, type Tool, type ToolAnswer } from './tools.ts';

type Result =
  | { state: 'idle' }
  | { state: 'busy' }
  | { state: 'done'; answer: ToolAnswer }
  | { state: 'failed'; error: unknown };
const IDLE: Result = { state: 'idle' };

export function ToolsDialog({ tools, onClose }: { tools: readonly Tool[]; onClose: () => void }) {
  const t = useApp().t.value;
  const questions = tools.filter((tool) => tool.kind === 'question');
  const lookUps = tools.filter((tool): tool is LookUp => tool.kind === 'look_up');
  const [chosen, setChosen] = useState(lookUps[0]?.id ?? '');
  const tool = lookUps.find((one) => one.id === chosen);
  const body = useRef<HTMLDivElement>(null);
  // After the dialog has opened, which takes the focus to its first button.
  useEffect(() => body.current?.querySelector('input')?.focus(), []);
  return (
    <Dialog title={t('tools.title')} onClose={onClose} testid="tools" wide>
      <div ref={body}>
        {questions.length > 0 && <Question examples={questions.map((one) => one.name)} />}
        {tool !== undefined && (
          <section class="tool-lookup">
            <h3>{t('tools.lookup')}</h3>
            {lookUps.length > 1 && (
              <label class="field">
                <span>{t('tools.which')}</span>
                <select value={chosen} data-testid="tool-which" onChange={(e) => setChosen(e.currentTarget.value)}>
                  {lookUps.map((one) => (
                    <option key={one.id} value={one.id}>
                      {one.name}
                    </option>
                  ))}
                </select>
              </label>
            )}
            <LookUpForm key={tool.id} tool={tool} />
          </section>
        )}
        <p class="dim tool-note">{t('tools.note')}</p>
      </div>
    </Dialog>
  );
}

function Question({ examples }: { examples: readonly string[] }) {
  const app = useApp();
  const t = app.t.value;
  const input = useRef<HTMLInputElement>(null);
  const [result, setResult] = useState<Result>(IDLE);
  const submit = async (): Promise<void> => {
    const question = input.current?.value.trim() ?? '';
    if (question === '') return;
    setResult({ state: 'busy' });
    const language = /[㐀-鿿]/u.test(question) ? 'zh' : app.language.value;
    setResult(await settled(ask(app.api, question, language)));
  };
  return (
    <form
      onSubmit={(e) => {
        e.preventDefault();
        void submit();
      }}
    >
      <div class="tool-line">
        <input
          ref={input}
          type="text"
          maxLength={500}
          placeholder={t('tools.placeholder')}
          aria-label={t('tools.question')}
          data-testid="tool-question"
        />
        <button type="submit" class="primary" disabled={result.state === 'busy'} data-testid="tool-ask">
          {t('tools.ask')}
        </button>
      </div>
      <p class="dim">{t('tools.examples', { examples: examples.join(t('tools.and')) })}</p>
      <Answer result={result} />
    </form>
  );
}

function LookUpForm({ tool }: { tool: LookUp }) {
  const app = useApp();
  const t = app.t.value;
  const [values, setValues] = useState<Record<string, string>>({});
  const [wrong, setWrong] = useState<readonly string[]>([]);
  const [result, setResult] = useState<Result>(IDLE);
  const run = async (confirmation = ''): Promise<void> => {
    const faults = faulty(tool, values);
    setWrong(faults);
    if (faults.length > 0) return;
    setResult({ state: 'busy' });
    setResult(await settled(lookUp(app.api, tool, values, confirmation)));
  };
  const waiting = result.state === 'done' && result.answer.status === 'confirm' ? result.answer : null;
  return (
    <form
      onSubmit={(e) => {
        e.preventDefault();
        void run();
      }}
    >
      {tool.parameters.map((p) => (
        <label key={p.name} class="field">
          <span>{p.label}</span>
          <input
            type="text"
            value={values[p.name] ?? ''}
            autoComplete="off"
            maxLength={500}
            aria-invalid={wrong.includes(p.name)}
            data-testid={`tool-value-${p.name}`}
            onInput={(e) => {
              setValues({ ...values, [p.name]: e.currentTarget.value });
              // A confirmation is for exactly what was asked.
              setResult(IDLE);
            }}
          />
          {wrong.includes(p.name) && <span class="fault">{t('tools.invalid')}</span>}
        </label>
      ))}
      {waiting === null ? (
        <button type="submit" disabled={result.state === 'busy'} data-testid="tool-run">
          {t('tools.run')}
        </button>
      ) : (
        <div class="tool-confirm" role="alert" data-testid="tool-confirm">
          <p>{t('tools.confirm', { name: tool.name })}</p>
          <button
            type="button"
            class="primary"
            data-testid="tool-confirmed"
            onClick={() => void run(waiting.confirmation)}
          >
            {t('tools.confirmed')}
          </button>
          <button type="button" class="quiet" onClick={() => setResult(IDLE)}>
            {t('common.cancel')}
          </button>
        </div>
      )}
      {waiting === null && <Answer result={result} />}
    </form>
  );
}

function Answer({ result }: { result: Result }) {
  const app = useApp();
  const t = app.t.value;
  if (result.state === 'idle') return null;
  if (result.state === 'busy') return <Skeleton lines={3} />;
  if (result.state === 'failed') {
    return (
      <p class="empty" role="alert" data-testid="tool-failed">
        {t('tools.failed')} · {app.describe(result.error)}
      </p>
    );
  }
  const { answer } = result;
  if (answer.status === 'refused') {
    return (
      <p class="empty" role="status" data-testid="tool-refused" data-reason={answer.reason}>
        {t(`tools.refused.${answer.reason === '' ? 'not_allowed' : answer.reason}`)}
      </p>
    );
  }
  if (answer.rows.length === 0) return <p class="empty">{t('tools.none')}</p>;
  return (
    <section class="tool-answer" aria-live="polite" data-testid="tool-answer">
      <div class="tool-table">
        <table>
          <thead>
            <tr>
              {answer.columns.map((name) => (
                <th key={name} scope="col">
                  {name}
                </th>
              ))}
            </tr>
          </thead>
          <tbody>
            {answer.rows.map((row, i) => (
              <tr key={i}>
                {row.map((cell, j) => (
                  <td key={j}>{cell}</td>
                ))}
              </tr>
            ))}
          </tbody>
        </table>
      </div>
      <footer>
        {answer.generated && <span class="generated">{t('tools.generated')}</span>}
        <button type="button" class="small" onClick={() => void app.copy(asTable(answer))}>
          <Icon name="copy" size={14} /> {t('common.copy')}
        </button>
      </footer>
      {answer.statement !== '' && (
        <details>
          <summary>{t('tools.statement')}</summary>
          <code>{answer.statement}</code>
        </details>
      )}
    </section>
  );
}

async function settled(asked: Promise<ToolAnswer>): Promise<Result> {
  try {
    return { state: 'done', answer: await asked };
  } catch (error) {
    return { state: 'failed', error };
  }
}
