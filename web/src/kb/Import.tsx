// Importing knowledge: a place to drop files, how far each is, what is wrong with which, and where the drafts are.
import { useCallback, useEffect, useRef, useState } from 'preact/hooks';
import { moment, percent } from '../core/format.ts';
import { ApiError } from '../net/api.ts';
import {
  chosen,
  dropped,
  type FileState,
  type ImportFile,
  type ImportRun,
  type Picked,
  upload,
} from '../net/imports.ts';
import { useApp } from '../ui/app.ts';
import { Icon, type IconName } from '../ui/icons.tsx';
import { ErrorBox, Link, Skeleton } from '../ui/Shell.tsx';
import { Frame } from './Frame.tsx';
import { mayWrite } from './requests.ts';
import './import.css';

/** How often the server is asked while something is being imported, and else. */
const BUSY_MS = 1000;
const IDLE_MS = 10_000;
const MIB = 1024 * 1024;

interface Listed {
  runs: ImportRun[];
  max_bytes: number;
  reads_scans: boolean;
}
type Sending = { sent: number; total: number; files: number; abort: AbortController };

const open = (run: ImportRun): boolean => run.state === 'queued' || run.state === 'running';

export function ImportPage() {
  const app = useApp();
  const t = app.t.value;
  const [listed, setListed] = useState<Listed | null>(null);
  const [files, setFiles] = useState<Record<string, ImportFile[]>>({});
  const [shown, setShown] = useState<string | null>(null);
  const [error, setError] = useState<unknown>(null);
  const [offline, setOffline] = useState(false);
  const [sending, setSending] = useState<Sending | null>(null);
  const [refused, setRefused] = useState<unknown>(null);
  const busy = listed?.runs.some(open) ?? false;

  const load = useCallback(async (): Promise<void> => {
    try {
      const found = await app.api.imports();
      setListed(found);
      setError(null);
      setOffline(false);
      setShown((id) => id ?? found.runs[0]?.run_id ?? null);
    } catch (e) {
      // What is shown stays when only the connection is gone.
      if (e instanceof ApiError && e.status === 0) setOffline(true);
      else setError(e);
    }
  }, [app]);

  useEffect(() => {
    void load();
    const timer = setInterval(() => !document.hidden && void load(), busy ? BUSY_MS : IDLE_MS);
    return () => clearInterval(timer);
  }, [load, busy]);

  const stamp = listed?.runs.find((run) => run.run_id === shown);
  useEffect(() => {
    if (shown === null) return;
    void app.api
      .importFiles(shown)
      .then((found) => setFiles((before) => ({ ...before, [shown]: found.files })))
      .catch(() => undefined); // the next round tries again
  }, [app, shown, stamp]);

  async function send(picked: readonly Picked[], retire: boolean): Promise<void> {
    if (picked.length === 0) return;
    const total = picked.reduce((sum, { file }) => sum + file.size, 0);
    setRefused(null);
    if (listed !== null && total > listed.max_bytes) {
      setRefused(new ApiError(413, '', t('import.toolarge', { mb: Math.floor(listed.max_bytes / MIB) })));
      return;
    }
    const abort = new AbortController();
    setSending({ sent: 0, total, files: picked.length, abort });
    try {
      const run = await upload(picked, {
        token: app.session.value?.token ?? '',
        retire,
        signal: abort.signal,
        progress: (sent, all) => setSending((s) => s && { ...s, sent, total: all }),
      });
      setShown(run.run_id);
      await load();
    } catch (e) {
      if (!(e instanceof ApiError && e.title === 'aborted')) setRefused(e);
    } finally {
      setSending(null);
    }
  }

  async function cancel(run: ImportRun): Promise<void> {
    try {
      await app.api.cancelImport(run.run_id);
    } catch (e) {
      app.say(app.describe(e));
    }
    await load();
  }

  const may = mayWrite(app.session.value?.user.roles ?? []);
  return (
    <Frame tab="import">
      <div class="imports">
        <p class="dim import-lead">{t('import.lead')}</p>
        {may && (
          <DropZone
            sending={sending}
            max={listed?.max_bytes ?? null}
            scans={listed?.reads_scans ?? true}
            onPick={(picked, retire) => void send(picked, retire)}
          />
        )}
        {refused !== null && <ErrorBox error={refused} />}
        {offline && (
          <p class="offline" role="status" data-testid="import-offline">
            {t('import.offline')}
          </p>
        )}
        {error !== null && <ErrorBox error={error} onRetry={() => void load()} />}
        {listed === null && error === null && <Skeleton lines={5} />}
        {listed !== null && listed.runs.length === 0 && (
          <p class="empty big-empty" data-testid="import-empty">
            {t('import.empty')}
          </p>
        )}
        {listed?.runs.map((run) => (
          <Run
            key={run.run_id}
            run={run}
            files={files[run.run_id] ?? null}
            open={shown === run.run_id}
            onToggle={() => setShown((id) => (id === run.run_id ? '' : run.run_id))}
            onCancel={may && open(run) ? () => void cancel(run) : null}
          />
        ))}
      </div>
    </Frame>
  );
}

function DropZone({
  sending,
  max,
  scans,
  onPick,
}: {
  sending: Sending | null;
  max: number | null;
  scans: boolean;
  onPick: (picked: readonly Picked[], retire: boolean) => void;
}) {
  const app = useApp();
  const t = app.t.value;
  const [over, setOver] = useState(false);
  const [retire, setRetire] = useState(false);
  const file = useRef<HTMLInputElement>(null);
  const folder = useRef<HTMLInputElement>(null);
  useEffect(() => {
    // Not a property that JSX knows.
    folder.current?.setAttribute('webkitdirectory', '');
  }, [sending]);

  if (sending !== null) {
    const share = sending.total > 0 ? sending.sent / sending.total : 0;
    return (
      <section class="drop sending" aria-live="polite" data-testid="import-sending">
        <p>
          {t('import.sending', { n: sending.files })} <span class="num">{percent(share)}</span>
        </p>
        <progress max={1} value={share} aria-label={t('import.sending', { n: sending.files })} />
        <button type="button" onClick={() => sending.abort.abort()}>
          {t('common.cancel')}
        </button>
      </section>
    );
  }
  return (
    <section
      class={`drop${over ? ' over' : ''}`}
      aria-label={t('import.drop')}
      data-testid="import-drop"
      onDragOver={(e) => {
        e.preventDefault();
        setOver(true);
      }}
      onDragLeave={() => setOver(false)}
      onDrop={(e) => {
        e.preventDefault();
        setOver(false);
        if (e.dataTransfer === null) return;
        void dropped(e.dataTransfer).then(
          (picked) => onPick(picked, retire),
          () => app.say(t('import.dropfailed')),
        );
      }}
    >
      <Icon name="upload" size={28} />
      <p class="drop-lead">{t('import.drop')}</p>
      <p class="drop-buttons">
        <button type="button" class="primary" data-testid="import-choose" onClick={() => file.current?.click()}>
          {t('import.choose')}
        </button>
        <button type="button" data-testid="import-folder" onClick={() => folder.current?.click()}>
          {t('import.folder')}
        </button>
      </p>
      <p class="dim small-print">
        {t('import.formats')}
        {!scans && ` ${t('import.noscans')}`}
        {max !== null && ` ${t('import.most', { mb: Math.floor(max / MIB) })}`}
      </p>
      <label class="check">
        <input
          type="checkbox"
          checked={retire}
          data-testid="import-retire"
          onChange={(e) => setRetire(e.currentTarget.checked)}
        />
        <span>{t('import.retire')}</span>
      </label>
      {[file, folder].map((input, i) => (
        <input
          key={i}
          ref={input}
          type="file"
          multiple
          hidden
          tabIndex={-1}
          data-testid={i === 0 ? 'import-file-input' : 'import-folder-input'}
          onChange={(e) => {
            onPick(chosen(e.currentTarget.files), retire);
            e.currentTarget.value = '';
          }}
        />
      ))}
    </section>
  );
}

const MARKS: Record<FileState, IconName> = {
  queued: 'pause',
  reading: 'play',
  done: 'check',
  unchanged: 'check',
  failed: 'alert',
};

function Run({
  run,
  files,
  open: isOpen,
  onToggle,
  onCancel,
}: {
  run: ImportRun;
  files: readonly ImportFile[] | null;
  open: boolean;
  onToggle: () => void;
  onCancel: (() => void) | null;
}) {
  const app = useApp();
  const t = app.t.value;
  const { counts } = run;
  const made = counts.new + counts.changed;
  const stopping = run.cancel_requested && open(run);
  return (
    <section class="run" data-testid="import-run" data-run-id={run.run_id} data-state={run.state}>
      <header class="run-head">
        <button type="button" class="quiet run-name" aria-expanded={isOpen} onClick={onToggle}>
          <Icon name={isOpen ? 'down' : 'right'} />
          <strong>{run.name}</strong>
        </button>
        <span class={`run-state ${run.state}`}>{t(stopping ? 'import.stopping' : `import.state.${run.state}`)}</span>
        <span class="dim num">
          {moment(run.created_at, app.language.value, new Date())}
          {` · ${run.actor === 'cli' ? t('import.bycommand') : run.actor_name}`}
        </span>
        <span class="grow" />
        {onCancel !== null && !stopping && (
          <button type="button" class="small" data-testid="import-cancel" onClick={onCancel}>
            {t('import.cancel')}
          </button>
        )}
      </header>
      {open(run) && (
        <progress
          max={Math.max(1, run.files)}
          value={run.finished}
          aria-label={t('import.progress', { done: run.finished, total: run.files })}
        />
      )}
      <p class="run-sum num" data-testid="import-summary">
        {run.files > 0 && t('import.progress', { done: run.finished, total: run.files })}
        {made > 0 && ` · ${t('import.sum.made', { new: counts.new, changed: counts.changed })}`}
        {counts.unchanged > 0 && ` · ${t('import.sum.same', { n: counts.unchanged })}`}
        {run.failed > 0 && (
          <span class="bad">
            {' · '}
            {t('import.sum.failed', { n: run.failed })}
          </span>
        )}
      </p>
      {isOpen && run.state === 'interrupted' && <p class="hint">{t('import.interrupted')}</p>}
      {isOpen && counts.held > 0 && <p class="hint">{t('import.held', { n: counts.held })}</p>}
      {isOpen && counts.gone > 0 && <p class="hint">{t('import.gone', { n: counts.gone })}</p>}
      {isOpen && run.removed.length > 0 && (
        <p class="hint">{t('import.removed', { names: run.removed.slice(0, 5).join('、'), n: run.removed.length })}</p>
      )}
      {isOpen && made > 0 && !open(run) && (
        <p>
          <Link to="/kb?state=draft">{t('import.drafts')}</Link>
        </p>
      )}
      {isOpen && files === null && <Skeleton lines={2} />}
      {isOpen && files !== null && files.length > 0 && <Files files={files} over={!open(run)} />}
    </section>
  );
}

/** Those that failed come first: they are what somebody has to do something about. */
function Files({ files, over }: { files: readonly ImportFile[]; over: boolean }) {
  const app = useApp();
  const t = app.t.value;
  const order: Record<FileState, number> = { failed: 0, reading: 1, queued: 2, done: 3, unchanged: 4 };
  const [all, setAll] = useState(false);
  const sorted = [...files].sort((a, b) => order[a.state] - order[b.state] || a.number - b.number);
  const most = all ? sorted.length : 50;
  return (
    <>
      <ul class="files">
        {sorted.slice(0, most).map((file) => (
          <li key={file.number} class={file.state} data-testid="import-file" data-state={file.state}>
            <Icon name={MARKS[file.state]} />
            <span class="file-name">{file.source}</span>
            <span class="file-state num">{stateOf(file)}</span>
            {file.state === 'reading' && (
              <progress
                max={Math.max(1, file.total)}
                {...(file.total > 0 ? { value: file.done } : {})}
                aria-label={file.source}
              />
            )}
            {file.state === 'failed' && (
              <p class="file-fault" data-testid="import-fault" data-fault={file.fault}>
                {app
                  .word(`import.error.${file.fault}`, file.message)
                  .replace('{detail}', file.detail === '' ? '–' : file.detail)}
              </p>
            )}
            {file.notes.map((note) => (
              <p key={note} class="file-note dim">
                {noteOf(note)}
              </p>
            ))}
          </li>
        ))}
      </ul>
      {sorted.length > most && (
        <p class="more">
          <button type="button" onClick={() => setAll(true)}>
            {t('import.all', { n: sorted.length })}
          </button>
        </p>
      )}
    </>
  );

  function stateOf(file: ImportFile): string {
    if (file.state === 'reading' && file.total > 0) {
      return t(file.source.toLowerCase().endsWith('.pdf') ? 'import.pages' : 'import.rows', {
        done: file.done,
        total: file.total,
      });
    }
    if (file.state === 'done') return t('import.made', { new: file.counts.new, changed: file.counts.changed });
    return t(file.state === 'queued' && over ? 'import.file.skipped' : `import.file.${file.state}`);
  }

  /** Notes come in English, with pages or a sheet's name behind a known beginning. */
  function noteOf(note: string): string {
    const read = /^read by OCR, check the text: pages (.*)$/.exec(note);
    if (read !== null) return t('import.note.ocr', { pages: read[1] ?? '' });
    const left = /^pictures that were left out, OCR is not installed: pages (.*)$/.exec(note);
    if (left !== null) return t('import.note.pictures', { pages: left[1] ?? '' });
    const sheet = /^sheet (.*) has no question and answer columns$/.exec(note);
    return sheet !== null ? t('import.note.sheet', { name: sheet[1] ?? '' }) : note;
  }
}
