// One pack: the version in force or a draft, with its faults at their lines, what it changes, dry runs over past calls, and its history.
import { useCallback, useEffect, useMemo, useState } from 'preact/hooks';
import { moment } from '../core/format.ts';
import { ApiError } from '../net/api.ts';
import { DRY_PACKS, type Fault, mayWritePacks, PacksApi, type PackVersion } from '../net/packs.ts';
import { useLoaded } from '../review/QueuePage.tsx';
import { useApp } from '../ui/app.ts';
import { Dialog } from '../ui/Dialog.tsx';
import { Icon } from '../ui/icons.tsx';
import { ErrorBox, Link, Shell, Skeleton } from '../ui/Shell.tsx';
import { CodeArea } from './CodeArea.tsx';
import { PackDiff } from './Diff.tsx';
import { PackDraft } from './draft.ts';
import { FaultList } from './Faults.tsx';
import { Outline } from './Outline.tsx';
import { packPath, whoPublished } from './PacksPage.tsx';
import { Runs } from './Runs.tsx';

const TABS = ['text', 'diff', 'runs', 'versions'] as const;
type Tab = (typeof TABS)[number];

export function PackPage({ name }: { name: string }) {
  const app = useApp();
  const t = app.t.value;
  const api = useMemo(() => new PacksApi(app.api), [app]);
  const query = new URLSearchParams(app.query.value);
  const asked = Number(query.get('v') ?? 0);
  const tab: Tab = TABS.find((one) => one === query.get('tab')) ?? 'text';
  const { value, error, again } = useLoaded(useCallback(() => api.versions(name), [api, name]));
  const me = app.session.value?.user.user_id ?? '';
  const versions = value?.versions ?? [];
  const inForce = versions.find((v) => v.state === 'published');
  const mine = versions.find((v) => v.state === 'draft' && v.author === me);
  const number = asked || mine?.version || inForce?.version || versions[0]?.version || 0;
  const to = (next: Tab, version = number): string =>
    packPath(name, `?v=${version}${next === 'text' ? '' : `&tab=${next}`}`);
  return (
    <Shell>
      <main id="main" class="calls packs" data-testid="pack-page">
        <header class="page-head">
          <Link to="/packs" class="back">
            <Icon name="left" size={14} />
            <span class="sr-only">{t('packs.title')}</span>
          </Link>
          <h1>{t(`packs.name.${name}` as 'packs.name.rubric')}</h1>
          <nav class="segmented" aria-label={t('packs.title')}>
            {TABS.filter((one) => one !== 'runs' || DRY_PACKS.includes(name)).map((one) => (
              <Link key={one} to={to(one)} class="segment" current={one === tab}>
                {t(`packs.tab.${one}`)}
              </Link>
            ))}
          </nav>
        </header>
        {error !== null && <ErrorBox error={error} onRetry={again} />}
        {value === null && error === null && <Skeleton lines={12} />}
        {value !== null && number === 0 && <p class="empty big-empty">{t('packs.nothing')}</p>}
        {number > 0 && tab === 'versions' && <Versions name={name} versions={versions} />}
        {number > 0 && tab !== 'versions' && (
          <One
            key={`${name}@${number}`}
            api={api}
            name={name}
            number={number}
            tab={tab}
            inForce={inForce?.version ?? 0}
            mine={mine}
            onChanged={again}
          />
        )}
      </main>
    </Shell>
  );
}

interface OneProps {
  api: PacksApi;
  name: string;
  number: number;
  tab: Tab;
  inForce: number;
  mine: PackVersion | undefined;
  onChanged: () => void;
}

function One({ api, name, number, tab, inForce, mine, onChanged }: OneProps) {
  const app = useApp();
  const { value, error, again } = useLoaded(useCallback(() => api.version(name, number), [api, name, number]));
  const draft = useMemo(
    () =>
      value === null
        ? null
        : new PackDraft(value.version, value.text, {
            save: (text, note, revision, base) => api.save(value.version, text, note, revision, base),
            check: (text) => api.check(name, text),
            setTimer: (work, ms) => setTimeout(work, ms),
            clearTimer: (timer) => clearTimeout(timer as number),
          }),
    [api, name, value],
  );
  useEffect(() => {
    if (draft === null) return;
    void draft.check();
    const leave = (e: BeforeUnloadEvent): void => {
      if (draft.state.value !== 'saved') e.preventDefault();
    };
    const online = (): void => void draft.saveNow();
    addEventListener('beforeunload', leave);
    addEventListener('online', online);
    return () => {
      removeEventListener('beforeunload', leave);
      removeEventListener('online', online);
      // The page is left inside the app: what was typed goes along.
      if (draft.state.value === 'dirty' || draft.state.value === 'failed') void draft.saveNow();
      draft.stop();
    };
  }, [draft]);
  if (error !== null && value === null) return <ErrorBox error={error} onRetry={again} />;
  if (value === null || draft === null) return <Skeleton lines={12} />;
  const version = draft.version.value;
  const own = version.state === 'draft' && version.author === app.session.value?.user.user_id;
  return (
    <>
      <Head api={api} draft={draft} own={own} mine={mine} onChanged={onChanged} onReload={again} />
      {version.state === 'draft' && version.base_version !== inForce && inForce > 0 && (
        <Overtaken api={api} draft={draft} own={own} inForce={inForce} />
      )}
      {tab === 'diff' ? (
        <PackDiff api={api} name={name} version={number} old={version.base_version} revision={version.revision} />
      ) : tab === 'runs' ? (
        <Runs api={api} name={name} version={version} before={() => draft.saveNow()} faults={draft.faults.value} />
      ) : (
        <Text draft={draft} own={own} name={name} />
      )}
    </>
  );
}

function Text({ draft, own, name }: { draft: PackDraft; own: boolean; name: string }) {
  const app = useApp();
  const t = app.t.value;
  const [target, setTarget] = useState<{ line: number } | null>(null);
  const faults: readonly Fault[] = draft.faults.value ?? [];
  const go = (line: number): void => setTarget({ line });
  return (
    <div class="pack-editor">
      <div class="pack-main">
        <CodeArea
          text={draft.text.value}
          label={t(`packs.name.${name}` as 'packs.name.rubric')}
          faults={faults}
          readOnly={!own}
          target={target}
          onInput={(text) => draft.change(text)}
        />
      </div>
      <aside class="pack-beside">
        {own && (
          <label class="note-field">
            {t('packs.note')}
            <input
              type="text"
              maxLength={500}
              data-testid="pack-note"
              value={draft.note.value}
              placeholder={t('packs.note.hint')}
              onInput={(e) => draft.annotate(e.currentTarget.value)}
            />
          </label>
        )}
        <FaultList faults={draft.faults.value} onGo={go} />
        <Outline entries={draft.outline.value} onGo={go} />
      </aside>
    </div>
  );
}

interface HeadProps {
  api: PacksApi;
  draft: PackDraft;
  own: boolean;
  mine: PackVersion | undefined;
  onChanged: () => void;
  onReload: () => void;
}

function Head({ api, draft, own, mine, onChanged, onReload }: HeadProps) {
  const app = useApp();
  const t = app.t.value;
  const [asking, setAsking] = useState<'publish' | 'discard' | null>(null);
  const [busy, setBusy] = useState(false);
  const version = draft.version.value;
  const roles = app.session.value?.user.roles ?? [];
  const now = new Date();
  const doing = async (
    work: () => Promise<PackVersion>,
    said: 'packs.published' | 'packs.discarded' | '',
  ): Promise<void> => {
    setBusy(true);
    try {
      const done = await work();
      if (said !== '') app.say(t(said));
      setAsking(null);
      onChanged();
      onReload();
      if (said === '') app.go(packPath(done.name, `?v=${done.version}`));
    } catch (e) {
      setAsking(null);
      if (e instanceof ApiError && Array.isArray(e.more.faults)) draft.faults.value = e.more.faults as Fault[];
      app.say(e instanceof ApiError && e.status === 403 ? e.message : app.describe(e));
    } finally {
      setBusy(false);
    }
  };
  return (
    <div class="pack-head" data-testid="pack-head" data-state={version.state}>
      <strong class="num">{t('packs.v', { n: version.version })}</strong>
      <span class="pack-state" data-state={version.state}>
        {t(`packs.state.${version.state}`)}
      </span>
      <span class="dim">
        {version.author_name || version.author} {moment(version.changed_at, app.language.value, now)}
        {version.published_at !== null &&
          ` · ${t('packs.by', { who: whoPublished(version), at: moment(version.published_at, app.language.value, now) })}`}
      </span>
      {!own && version.note !== '' && <span>{version.note}</span>}
      {own && (
        <span
          class={`dim ${draft.state.value === 'failed' ? 'bad' : ''}`}
          role="status"
          data-testid="pack-saved"
          data-state={draft.state.value}
        >
          {t(`packs.save.${draft.state.value}`)}
        </span>
      )}
      {draft.state.value === 'conflict' && (
        <button type="button" onClick={onReload}>
          {t('packs.save.reload')}
        </button>
      )}
      <span class="grow" />
      {!own && mayWritePacks(roles) && mine !== undefined && (
        <Link to={packPath(version.name, `?v=${mine.version}`)}>{t('packs.mine')}</Link>
      )}
      {!own && mayWritePacks(roles) && mine === undefined && (
        <button
          type="button"
          data-testid="pack-begin"
          disabled={busy}
          onClick={() => void doing(() => api.begin(version.name, draft.text.value, ''), '')}
        >
          {t(version.state === 'published' ? 'packs.begin' : 'packs.begin.from')}
        </button>
      )}
      {version.state === 'draft' && (own || version.may_publish) && (
        <button type="button" class="quiet" data-testid="pack-discard" onClick={() => setAsking('discard')}>
          {t('packs.discard')}
        </button>
      )}
      {own && <span class="dim">{t('packs.another')}</span>}
      {version.state === 'draft' && version.may_publish && (
        <button type="button" class="primary" data-testid="pack-publish" onClick={() => setAsking('publish')}>
          {t('packs.publish')}
        </button>
      )}
      {asking !== null && (
        <Dialog title={t(`packs.${asking}`)} testid="pack-confirm" onClose={() => setAsking(null)}>
          <p>{t(`packs.${asking}.ask`, { n: version.version })}</p>
          {asking === 'publish' && version.note !== '' && <p class="dim">{version.note}</p>}
          <footer class="dialog-actions">
            <button
              type="button"
              class="primary"
              data-testid="pack-confirm-yes"
              disabled={busy}
              onClick={() =>
                void doing(
                  () => (asking === 'publish' ? api.publish(version) : api.discard(version)),
                  asking === 'publish' ? 'packs.published' : 'packs.discarded',
                )
              }
            >
              {t(`packs.${asking}`)}
            </button>
          </footer>
        </Dialog>
      )}
    </div>
  );
}

function Overtaken({ api, draft, own, inForce }: { api: PacksApi; draft: PackDraft; own: boolean; inForce: number }) {
  const app = useApp();
  const t = app.t.value;
  const version = draft.version.value;
  const [shown, setShown] = useState(false);
  return (
    <section class="panel overtaken" data-testid="pack-overtaken">
      <p>{t('packs.overtaken', { now: inForce, base: version.base_version })}</p>
      <p class="row-actions">
        <button type="button" aria-expanded={shown} onClick={() => setShown(!shown)}>
          {t('packs.overtaken.show')}
        </button>
        {own && (
          <button type="button" data-testid="pack-taken-over" onClick={() => void draft.saveNow(inForce)}>
            {t('packs.overtaken.done')}
          </button>
        )}
      </p>
      {shown && <PackDiff api={api} name={version.name} version={inForce} old={version.base_version} revision={0} />}
    </section>
  );
}

function Versions({ name, versions }: { name: string; versions: readonly PackVersion[] }) {
  const app = useApp();
  const t = app.t.value;
  const now = new Date();
  return (
    <div class="table-wrap">
      <table data-testid="pack-versions">
        <thead>
          <tr>
            {(['version', 'state', 'author', 'changed', 'publisher', 'published', 'note'] as const).map((col) => (
              <th key={col} scope="col">
                {t(`packs.vcol.${col}`)}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {versions.map((v) => (
            <tr key={v.version}>
              <td class="num">
                <Link to={packPath(name, `?v=${v.version}&tab=diff`)} class="row-link">
                  {t('packs.v', { n: v.version })}
                </Link>
              </td>
              <td>
                <span class="pack-state" data-state={v.state}>
                  {t(`packs.state.${v.state}`)}
                </span>
              </td>
              <td>{v.author_name || v.author}</td>
              <td class="num">{moment(v.changed_at, app.language.value, now)}</td>
              <td>{whoPublished(v) || <span class="dim">–</span>}</td>
              <td class="num">{v.published_at === null ? '' : moment(v.published_at, app.language.value, now)}</td>
              <td>{v.note}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}
