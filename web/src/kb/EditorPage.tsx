// Writing an article: the form, beside it what the index would hold and what the machine finds, versions and their differences.
import { useEffect, useMemo, useState } from 'preact/hooks';
import type { Passage } from '../gen/types.ts';
import type { Key } from '../i18n/translate.ts';
import { ApiError } from '../net/api.ts';
import { useApp } from '../ui/app.ts';
import { Differences } from './Differences.tsx';
import { Conflict, ReasonDialog } from './dialogs.tsx';
import { DraftModel } from './draft.ts';
import { Fields, fieldId } from './Fields.tsx';
import { Findings } from './Findings.tsx';
import { articlePath, Frame, State, StateChip, useKnowledge, useLoaded } from './Frame.tsx';
import { emptyText, type Finding, mayWrite, type Names, type Text, textOf, type Version } from './requests.ts';

const PREVIEW_MS = 900;

interface Opened {
  text: Text;
  revision: number;
  versions: Version[];
  names: Names;
  origin: string;
}

export function EditorPage({ id, language }: { id: string | null; language: string }) {
  const app = useApp();
  const kb = useKnowledge();
  const opened = useLoaded<Opened>(async () => {
    if (id === null) {
      const prefilled = JSON.parse(app.recall('kb.new') ?? '{}') as Partial<Text> & { origin?: string };
      app.remember('kb.new', '{}');
      const { origin = '', ...text } = prefilled;
      const owner = app.session.value?.user.display_name ?? '';
      return { text: { ...emptyText(language, owner), ...text }, revision: 0, versions: [], names: {}, origin };
    }
    const { versions, names } = await kb.versions(id, language);
    const open = versions.find((v) => v.article.state === 'draft' || v.article.state === 'in_review');
    const base = open ?? versions.find((v) => v.standing === 'in_force') ?? versions[0];
    if (base === undefined) throw new ApiError(404, '', '');
    return { text: textOf(base.article), revision: open?.revision ?? 0, versions, names, origin: '' };
  }, [id, language]);
  return (
    <Frame tab="articles">
      <State of={opened} lines={12}>
        {(found) => (
          <Editor key={`${id}/${found.versions[0]?.revision}`} id={id} opened={found} onAgain={opened.again} />
        )}
      </State>
    </Frame>
  );
}

function Editor({ id, opened, onAgain }: { id: string | null; opened: Opened; onAgain: () => void }) {
  const app = useApp();
  const t = app.t.value;
  const kb = useKnowledge();
  const { versions, names } = opened;
  const open = versions.find((v) => v.article.state === 'draft' || v.article.state === 'in_review');
  const published = versions.some((v) => v.article.state === 'published');
  const inReview = open?.article.state === 'in_review';
  const writes = mayWrite(app.session.value?.user.roles ?? []) && !inReview;
  const language = opened.text.language;
  const [shown, setShown] = useState<{ passages: Passage[]; findings: Finding[] } | null>(null);
  const [asking, setAsking] = useState<'retire' | 'discard' | null>(null);
  const model = useMemo(
    () =>
      new DraftModel(id, opened.text, opened.revision, {
        save: (known, text, revision) =>
          known === null ? kb.create(text, opened.origin) : kb.save(known, text, revision),
        named: (made) => history.replaceState(null, '', articlePath(made, language)),
        setTimer: (work, ms) => setTimeout(work, ms),
        clearTimer: (timer) => clearTimeout(timer as number | undefined),
      }),
    [id, opened, kb, language],
  );
  const text = model.text.value;
  const save = model.state.value;

  useEffect(() => {
    const onKey = (e: KeyboardEvent): void => {
      if (!(e.ctrlKey || e.metaKey) || e.key.toLowerCase() !== 's') return;
      e.preventDefault();
      void model.saveNow();
    };
    const onLeave = (e: BeforeUnloadEvent): void => {
      if (model.state.value !== 'clean' && model.state.value !== 'saved') e.preventDefault();
    };
    const onBack = (): void => void model.saveNow();
    document.addEventListener('keydown', onKey);
    window.addEventListener('beforeunload', onLeave);
    window.addEventListener('online', onBack);
    return () => {
      document.removeEventListener('keydown', onKey);
      window.removeEventListener('beforeunload', onLeave);
      window.removeEventListener('online', onBack);
      // Leaving the page inside the app: what was typed last is saved too.
      void model.saveNow();
      model.stop();
    };
  }, [model]);

  const mayPreview = mayWrite(app.session.value?.user.roles ?? []);
  useEffect(() => {
    if (!mayPreview) return;
    let current = true;
    const timer = setTimeout(() => {
      kb.preview(text, model.id ?? undefined).then(
        (found) => current && setShown(found),
        () => undefined, // the next change asks again; saving says what is wrong with the connection
      );
    }, PREVIEW_MS);
    return () => {
      current = false;
      clearTimeout(timer);
    };
  }, [text, kb, model, mayPreview]);

  const step = async (name: 'submit' | 'withdraw' | 'discard'): Promise<void> => {
    if (name === 'submit' && !(await model.saveNow())) return;
    const about = model.id;
    if (about === null) return;
    try {
      await kb.step(about, name, { language, revision: model.revision });
      app.say(t(`kbc.done.${name}` as Key));
      if (name === 'discard' && versions.every((v) => v.article.state === 'draft')) app.go('/kb');
      else if (id === null) app.go(articlePath(about, language), true);
      else onAgain();
    } catch (error) {
      const findings = error instanceof ApiError ? (error.more.findings as Finding[] | undefined) : undefined;
      if (findings !== undefined) setShown({ passages: shown?.passages ?? [], findings });
      app.say(app.describe(error));
    }
  };
  const retire = async (reason: string): Promise<void> => {
    if (model.id === null) return;
    try {
      await kb.retire(model.id, language, reason);
      app.say(t('kbc.done.retire'));
      onAgain();
    } catch (error) {
      app.say(app.describe(error));
    }
  };

  return (
    <>
      <div class="kb-bar">
        {versions[0] !== undefined && <StateChip state={open?.article.state ?? versions[0].standing} />}
        <span class="dim" role="status" data-testid="kb-save-state" data-state={save}>
          {save === 'failed'
            ? `${t('kbc.save.failed')} · ${app.describe(model.error.value)}`
            : t(`kbc.save.${save}` as Key)}
        </span>
        <span class="grow" />
        {writes && (
          <>
            <button type="button" title="Ctrl+S" data-testid="kb-save" onClick={() => void model.saveNow()}>
              {t('kbc.step.save')}
            </button>
            <button type="button" class="primary" data-testid="kb-submit" onClick={() => void step('submit')}>
              {t('kbc.step.submit')}
            </button>
            {(open !== undefined || save === 'saved') && (
              <button type="button" class="quiet" data-testid="kb-discard" onClick={() => setAsking('discard')}>
                {t('kbc.step.discard')}
              </button>
            )}
          </>
        )}
        {inReview && mayPreview && (
          <button type="button" data-testid="kb-withdraw" onClick={() => void step('withdraw')}>
            {t('kbc.step.withdraw')}
          </button>
        )}
        {published && mayPreview && (
          <button type="button" class="quiet" data-testid="kb-retire" onClick={() => setAsking('retire')}>
            {t('kbc.step.retire')}
          </button>
        )}
      </div>
      {open?.reason !== undefined && open.reason !== '' && open.article.state === 'draft' && (
        <p class="kb-note" role="note" data-testid="kb-rejected">
          {t('kbc.rejected', { name: names[open.decided_by] ?? '', reason: open.reason })}
        </p>
      )}
      <div class="kb-editor">
        <Fields
          text={text}
          disabled={!writes}
          fixedLanguage={id !== null}
          onChange={(change) => model.change(change)}
        />
        <div class="kb-beside">
          {open?.origin !== null && open?.origin !== undefined && open.origin.quote !== '' && (
            <section class="kb-panel" data-testid="kb-origin">
              <h2>{t('kbc.origin')}</h2>
              <p class="dim">
                {t(`kbc.origin.${open.origin.kind}` as Key)} · {open.origin.source} {open.origin.section}
              </p>
              <blockquote>{open.origin.quote}</blockquote>
            </section>
          )}
          <section class="kb-panel">
            <h2>{t('kbc.checks')}</h2>
            {shown === null ? (
              <p class="dim">{t('kbc.checks.waiting')}</p>
            ) : (
              <Findings findings={shown.findings} language={language} onGo={goTo} />
            )}
          </section>
          <section class="kb-panel" data-testid="kb-preview">
            <h2>{t('kbc.preview')}</h2>
            <Preview text={text} passages={shown?.passages ?? []} />
          </section>
          {versions.length > 0 && id !== null && <Versions id={id} versions={versions} names={names} />}
        </div>
      </div>
      {save === 'conflict' && model.stored.value !== null && (
        <Conflict mine={text} stored={model.stored.value} onChoose={(choice) => void model.resolve(choice)} />
      )}
      {asking === 'retire' && (
        <ReasonDialog
          title={t('kbc.step.retire')}
          about={t('kbc.retire.about')}
          onClose={() => setAsking(null)}
          onDone={(reason) => {
            setAsking(null);
            void retire(reason);
          }}
        />
      )}
      {asking === 'discard' && (
        <ReasonDialog
          title={t('kbc.step.discard')}
          about={t('kbc.discard.about')}
          withReason={false}
          onClose={() => setAsking(null)}
          onDone={() => {
            setAsking(null);
            void step('discard');
          }}
        />
      )}
    </>
  );
}

/** Puts the caret where the finding is. */
function goTo(one: Finding): void {
  const el = document.getElementById(fieldId(one.field.split('.')[0] ?? ''));
  if (!(el instanceof HTMLInputElement || el instanceof HTMLTextAreaElement)) return;
  el.focus();
  if (el.type !== 'date' && !one.field.startsWith('questions')) el.setSelectionRange(one.start, one.end);
}

function Preview({ text, passages }: { text: Text; passages: readonly Passage[] }) {
  const t = useApp().t.value;
  return (
    <>
      <div class="kb-card">
        <h3>{text.title || t('kbc.untitled')}</h3>
        <p class="say">{text.answer || passages.find((p) => p.kind === 'body')?.text || t('kbc.preview.empty')}</p>
        <p class="dim">
          {t(`kbc.audience.${text.audience}` as Key)} · {text.source || t('sug.nosource')}
        </p>
      </div>
      <ol class="kb-passages">
        {passages.map((one) => (
          <li key={one.passage_id}>
            <span class="chip static">{t(`kbc.passage.${one.kind}` as Key)}</span>{' '}
            {one.section !== '' && <span class="dim">{one.section} · </span>}
            {one.text}
          </li>
        ))}
      </ol>
    </>
  );
}

function Versions({ id, versions, names }: { id: string; versions: readonly Version[]; names: Names }) {
  const app = useApp();
  const t = app.t.value;
  const kb = useKnowledge();
  const [picked, setPicked] = useState<number | null>(null);
  const language = versions[0]?.article.language ?? 'zh';
  const diff = useLoaded(() => (picked === null ? Promise.resolve(null) : kb.diff(id, language, 0, picked)), [picked]);
  return (
    <section class="kb-panel" data-testid="kb-versions">
      <h2>{t('kbc.versions')}</h2>
      <ul>
        {versions.map((one) => (
          <li key={one.article.version}>
            <button
              type="button"
              class="small"
              aria-pressed={picked === one.article.version}
              onClick={() => setPicked(picked === one.article.version ? null : one.article.version)}
            >
              v{one.article.version}
            </button>{' '}
            <StateChip state={one.standing} />{' '}
            <span class="dim">
              {one.authors.map((a) => names[a] ?? a).join('、') || t('kbc.imported')}
              {one.decided_by !== '' && ` · ${t('kbc.decided', { name: names[one.decided_by] ?? one.decided_by })}`}
            </span>
          </li>
        ))}
      </ul>
      {diff.value !== null && picked !== null && <Differences diff={diff.value} />}
    </section>
  );
}
