// The after-call form: what was made of the call, ready to be corrected and handed in. Everything typed is saved by itself.
import type { ComponentChildren } from 'preact';
import { useEffect, useRef, useState } from 'preact/hooks';
import type { FormModel, Section } from '../agent/form.ts';
import { SECTIONS } from '../agent/form.ts';
import { SaveLine } from '../agent/Notes.tsx';
import type { CallState } from '../core/callstate.ts';
import { moment } from '../core/format.ts';
import { resolve } from '../core/text.ts';
import type { ArtifactVersion, EditableKind } from '../net/api.ts';
import { useApp } from '../ui/app.ts';
import { Icon } from '../ui/icons.tsx';
import { ErrorBox, Skeleton } from '../ui/Shell.tsx';
import { Refs } from './Refs.tsx';

interface Props {
  model: FormModel;
  state: CallState;
  onUtterance: (id: string) => void;
}

export function Form({ model, state, onUtterance }: Props) {
  const app = useApp();
  const t = app.t.value;
  const summary = model.summary.value;
  const ticket = model.ticket.value;
  const submitted = state.submitted !== null;
  const ready = summary !== null || ticket !== null;
  return (
    <form class="wrap-up" data-testid="form" data-submitted={String(submitted)} onSubmit={(e) => e.preventDefault()}>
      {!ready && Object.keys(state.failed).length === 0 && (
        <div class="pending">
          <p class="dim">{t('acw.pending')}</p>
          <Skeleton lines={5} />
        </div>
      )}
      {summary !== null && (
        <fieldset disabled={submitted}>
          <legend>{t('artifact.summary')}</legend>
          <Text
            label={t('form.overall')}
            testid="form-overall"
            value={resolve(summary.body.overall, state.secrets)}
            onInput={(text) => model.setOverall(text)}
          />
          {SECTIONS.map((section) => (
            <Lines key={section} section={section} model={model} state={state} onUtterance={onUtterance} />
          ))}
          {summary.body.method === 'llm' && <p class="generated">{t('summary.method.llm')}</p>}
        </fieldset>
      )}
      {ticket !== null && (
        <fieldset disabled={submitted}>
          <legend>{t('artifact.ticket')}</legend>
          <Category model={model} />
          <h2>{t('ticket.measures')}</h2>
          {ticket.body.measures.map((text, i) => (
            <Line
              key={i}
              label={`${t('ticket.measures')} ${i + 1}`}
              testid="form-measure"
              value={resolve(text, state.secrets)}
              onInput={(value) => model.setMeasure(i, value)}
              onRemove={() => model.removeMeasure(i)}
            />
          ))}
          {!submitted && <Add label={t('ticket.measures')} onClick={() => model.addMeasure()} />}
        </fieldset>
      )}
      {ready && (
        <footer class="form-foot">
          {submitted ? (
            <>
              <p class="submitted" role="status" data-testid="form-submitted">
                <Icon name="check" size={14} /> {t('form.submitted')}
              </p>
              <button
                type="button"
                data-testid="form-reopen"
                disabled={model.busy.value}
                onClick={() => void model.reopen()}
              >
                {t('form.reopen')}
              </button>
            </>
          ) : (
            <>
              <SaveLine state={model.state.value} />
              <button
                type="button"
                class="primary"
                data-testid="form-submit"
                disabled={model.busy.value}
                onClick={() => void model.submit()}
              >
                {t('form.submit')}
              </button>
            </>
          )}
        </footer>
      )}
    </form>
  );
}

function Lines({ section, model, state, onUtterance }: Props & { section: Section }) {
  const t = useApp().t.value;
  const lines = model.summary.value?.body[section] ?? [];
  const name = t(`summary.${section}`);
  return (
    <div class="form-section">
      <h2>{name}</h2>
      {lines.map((line, i) => (
        <Line
          key={i}
          label={`${name} ${i + 1}`}
          testid={`form-${section}`}
          value={resolve(line.text, state.secrets)}
          onInput={(text) => model.setLine(section, i, text)}
          onRemove={() => model.removeLine(section, i)}
        >
          <Refs ids={line.utterance_ids} state={state} onUtterance={onUtterance} />
        </Line>
      ))}
      {state.submitted === null && <Add label={name} onClick={() => model.addLine(section)} />}
    </div>
  );
}

function Line(props: {
  label: string;
  testid: string;
  value: string;
  onInput: (text: string) => void;
  onRemove: () => void;
  children?: ComponentChildren;
}) {
  const t = useApp().t.value;
  return (
    <div class="form-line">
      <Text label={props.label} testid={props.testid} value={props.value} onInput={props.onInput} hidden />
      {props.children}
      <button
        type="button"
        class="quiet small"
        aria-label={`${t('form.remove')} ${props.label}`}
        onClick={props.onRemove}
      >
        <Icon name="x" size={12} />
      </button>
    </div>
  );
}

function Add({ label, onClick }: { label: string; onClick: () => void }) {
  const t = useApp().t.value;
  return (
    <button type="button" class="quiet small" aria-label={`${t('form.add')} ${label}`} onClick={onClick}>
      <Icon name="plus" size={12} /> {t('form.add')}
    </button>
  );
}

/** A field as tall as what is in it. */
function Text(props: {
  label: string;
  testid: string;
  value: string;
  onInput: (text: string) => void;
  hidden?: boolean;
}) {
  const area = useRef<HTMLTextAreaElement>(null);
  const { value } = props;
  useEffect(() => {
    const el = area.current;
    if (el === null) return;
    el.style.height = 'auto';
    el.style.height = `${el.scrollHeight + 2}px`;
  }, [value]);
  return (
    <label class="form-text">
      <span class={props.hidden ? 'sr-only' : 'form-label'}>{props.label}</span>
      <textarea
        ref={area}
        rows={1}
        maxLength={2000}
        value={value}
        data-testid={props.testid}
        onInput={(e) => props.onInput(e.currentTarget.value)}
      />
    </label>
  );
}

function Category({ model }: { model: FormModel }) {
  const app = useApp();
  const t = app.t.value;
  const body = model.ticket.value?.body;
  if (body === undefined) return null;
  const tree = app.labels.value.category_tree;
  const known = tree.some((top) => top.children.some((child) => child.id === body.level2));
  return (
    <label class="form-text">
      <span class="form-label">{t('form.category')}</span>
      <select
        // The bank's names may come after the artifact: then the list is made anew, with its choice.
        key={tree.length}
        value={`${body.level1}/${body.level2}`}
        data-testid="form-category"
        onChange={(e) => {
          const [level1 = '', level2 = ''] = e.currentTarget.value.split('/');
          model.setCategory(level1, level2);
        }}
      >
        {!known && <option value={`${body.level1}/${body.level2}`}>{app.categoryName(body.level2)}</option>}
        {tree.map((top) => (
          <optgroup key={top.id} label={top.name}>
            {top.children.map((child) => (
              <option key={child.id} value={`${top.id}/${child.id}`}>
                {child.name}
              </option>
            ))}
          </optgroup>
        ))}
      </select>
    </label>
  );
}

/** Who changed what, version by version. Read when it is opened. */
export function Versions({ callId, kind, newest }: { callId: string; kind: EditableKind; newest: number }) {
  const app = useApp();
  const t = app.t.value;
  const [open, setOpen] = useState(false);
  const [versions, setVersions] = useState<ArtifactVersion[] | null>(null);
  const [error, setError] = useState<unknown>(null);
  const [turn, setTurn] = useState(0);
  useEffect(() => {
    if (!open) return;
    setError(null);
    app.api.versions(callId, kind).then(setVersions).catch(setError);
  }, [app, open, callId, kind, newest, turn]);
  const field = (name: string): string =>
    app.word(
      name === 'overall' ? 'form.overall' : name.startsWith('level') ? 'form.category' : `summary.${name}`,
      name,
    );
  const value = (name: string, text: string): string => (name.startsWith('level') ? app.categoryName(text) : text);
  return (
    <details class="versions" data-testid="versions" onToggle={(e) => setOpen(e.currentTarget.open)}>
      <summary>
        <Icon name="history" size={12} /> {t('versions.title')} <span class="num">v{newest}</span>
      </summary>
      {error !== null && <ErrorBox error={error} onRetry={() => setTurn(turn + 1)} />}
      {open && versions === null && error === null && <Skeleton lines={2} />}
      <ol>
        {[...(versions ?? [])].reverse().map((v) => (
          <li key={v.version} data-testid="version" data-version={v.version}>
            <p>
              <strong class="num">v{v.version}</strong>{' '}
              {v.author === null ? t('versions.machine') : v.author_name || v.author}{' '}
              <span class="dim num">{moment(v.created_at, app.language.value, new Date())}</span>
            </p>
            {v.changes.map((change, i) => (
              <p key={i} class="diff">
                <span class="dim">{field(change.field)}</span>{' '}
                {change.before !== '' && <del>{value(change.field, change.before)}</del>}{' '}
                {change.after !== '' && <ins>{value(change.field, change.after)}</ins>}
              </p>
            ))}
          </li>
        ))}
      </ol>
    </details>
  );
}
