// The files that decide how calls are judged: what is in force, since when, and what is being written.
import { useCallback, useMemo, useRef } from 'preact/hooks';
import { moment } from '../core/format.ts';
import { type PackRow, PacksApi, type PackVersion } from '../net/packs.ts';
import { useLoaded, useRowKeys } from '../review/QueuePage.tsx';
import { useApp } from '../ui/app.ts';
import { ErrorBox, Link, Shell, Skeleton } from '../ui/Shell.tsx';

export const packPath = (name: string, query = ''): string => `/packs/${encodeURIComponent(name)}${query}`;

export function PacksPage() {
  const app = useApp();
  const t = app.t.value;
  const api = useMemo(() => new PacksApi(app.api), [app]);
  const { value, error, again } = useLoaded(useCallback(() => api.overview(), [api]));
  const body = useRef<HTMLTableSectionElement>(null);
  useRowKeys(body);
  return (
    <Shell>
      <main id="main" class="calls packs" data-testid="packs-page">
        <header class="page-head">
          <h1>{t('packs.title')}</h1>
          <span class="dim">{t('packs.intro')}</span>
        </header>
        {error !== null && <ErrorBox error={error} onRetry={again} />}
        {value === null && error === null && <Skeleton lines={8} />}
        {value !== null && (
          <div class="table-wrap">
            <table>
              <thead>
                <tr>
                  <th scope="col">{t('packs.col.pack')}</th>
                  <th scope="col">{t('packs.col.force')}</th>
                  <th scope="col">{t('packs.col.since')}</th>
                  <th scope="col">{t('packs.col.drafts')}</th>
                </tr>
              </thead>
              <tbody ref={body}>
                {value.packs.map((row) => (
                  <Row key={row.name} row={row} />
                ))}
              </tbody>
            </table>
          </div>
        )}
      </main>
    </Shell>
  );
}

function Row({ row }: { row: PackRow }) {
  const app = useApp();
  const t = app.t.value;
  const inForce = row.published;
  return (
    <tr data-testid="pack-row">
      <th scope="row">
        <Link to={packPath(row.name)} class="row-link">
          {t(`packs.name.${row.name}` as 'packs.name.rubric')}
        </Link>
        <div class="dim small-text">{t(`packs.what.${row.name}` as 'packs.what.rubric')}</div>
      </th>
      <td class="num">
        {inForce === null ? <span class="dim">{t('packs.none')}</span> : t('packs.v', { n: inForce.version })}
      </td>
      <td>
        {inForce !== null && (
          <>
            <span class="num">{moment(inForce.published_at, app.language.value, new Date())}</span>{' '}
            <span class="dim">{whoPublished(inForce)}</span>
            {inForce.note !== '' && <div class="dim small-text">{inForce.note}</div>}
          </>
        )}
      </td>
      <td>
        {row.drafts.length === 0 && <span class="dim">–</span>}
        {row.drafts.map((draft) => (
          <div key={draft.version}>
            <Link to={packPath(row.name, `?v=${draft.version}`)}>{t('packs.v', { n: draft.version })}</Link>{' '}
            <span class="dim">
              {draft.author_name || draft.author} {moment(draft.changed_at, app.language.value, new Date())}
            </span>
          </div>
        ))}
      </td>
    </tr>
  );
}

export function whoPublished(version: PackVersion): string {
  return version.publisher_name || (version.published_by ?? '');
}
