// Reports that the server wrote on its schedule.
import { useCallback } from 'preact/hooks';
import type { InsightsApi, ReportFile } from '../net/insights.ts';
import { useLoaded } from '../review/QueuePage.tsx';
import { useApp } from '../ui/app.ts';
import { ErrorBox, Skeleton } from '../ui/Shell.tsx';

/** Into the browser's downloads. */
export function saveBlob(blob: Blob, name: string): void {
  const link = document.createElement('a');
  link.href = URL.createObjectURL(blob);
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
}

export function Reports({ api }: { api: InsightsApi }) {
  const app = useApp();
  const t = app.t.value;
  const { value, error, again } = useLoaded(useCallback(() => api.reports(), [api]));
  const open = async (one: ReportFile): Promise<void> => {
    try {
      saveBlob(await api.scheduled(one.file), one.file);
    } catch (e) {
      app.say(app.describe(e));
    }
  };
  if (error !== null && value === null) return <ErrorBox error={error} onRetry={again} />;
  if (value === null) return <Skeleton lines={4} />;
  if (value.reports.length === 0) return <p class="empty big-empty">{t('center.reports.none')}</p>;
  return (
    <section class="table-wrap" aria-label={t('center.tab.reports')} data-testid="insights-reports">
      <table>
        <thead>
          <tr>
            <th scope="col">{t('center.col.report')}</th>
            <th scope="col">{t('center.col.period')}</th>
            <th scope="col">{t('center.col.form')}</th>
            <th scope="col" class="right">
              {t('center.col.size')}
            </th>
            <th scope="col">
              <span class="sr-only">{t('center.download')}</span>
            </th>
          </tr>
        </thead>
        <tbody>
          {value.reports.map((one) => (
            <tr key={one.file}>
              <th scope="row">{one.name}</th>
              <td class="num">
                {one.first} – {one.last}
              </td>
              <td>{one.form.toUpperCase()}</td>
              <td class="num right">{Math.max(1, Math.round(one.bytes / 1024))} kB</td>
              <td class="right">
                <button type="button" class="small" onClick={() => void open(one)}>
                  {t('center.download')}
                </button>
              </td>
            </tr>
          ))}
        </tbody>
      </table>
    </section>
  );
}
