// A calibration: who has answered what; once it is closed, how far the inspectors agree and where they differ.
import { useCallback, useMemo } from 'preact/hooks';
import { moment } from '../core/format.ts';
import { QaApi } from '../net/qa.ts';
import { useApp } from '../ui/app.ts';
import { Icon } from '../ui/icons.tsx';
import { ErrorBox, Link, Shell, Skeleton } from '../ui/Shell.tsx';
import { AgreementTable, useLoaded } from './QueuePage.tsx';

export function CalibrationPage({ sessionId }: { sessionId: string }) {
  const app = useApp();
  const t = app.t.value;
  const qa = useMemo(() => new QaApi(app.api), [app]);
  const { value, error, again } = useLoaded(useCallback(() => qa.calibration(sessionId), [qa, sessionId]));
  const me = app.session.value?.user;
  const close = async (): Promise<void> => {
    try {
      await qa.closeCalibration(sessionId);
      again();
    } catch (e) {
      app.say(app.describe(e));
    }
  };
  const names = new Map(value?.tasks.map((task) => [task.assigned_to ?? '', task.assigned_name]) ?? []);
  const calls = [...new Set(value?.tasks.map((task) => task.call_id) ?? [])];
  return (
    <Shell>
      <main id="main" class="calls" data-testid="calibration-page">
        <header class="page-head">
          <Link to="/qa?tab=calibrations" class="back">
            <Icon name="left" size={14} />
            <span class="sr-only">{t('review.back')}</span>
          </Link>
          <h1>{value?.session.name ?? ''}</h1>
          {value !== null && (
            <>
              <span class="chip static">
                {t(value.session.closed_at === null ? 'calibration.open' : 'calibration.closed')}
              </span>
              <span class="dim">
                {t('review.due', { at: moment(value.session.due_at, app.language.value, new Date()) })}
              </span>
              <span class="grow" />
              {value.session.closed_at === null && me?.roles.includes('qa_lead') && (
                <button type="button" onClick={() => void close()} data-testid="close-calibration">
                  {t('calibration.close')}
                </button>
              )}
            </>
          )}
        </header>
        {error !== null && <ErrorBox error={error} onRetry={again} />}
        {value === null && error === null && <Skeleton lines={8} />}
        {value !== null && (
          <>
            <div class="table-wrap">
              <table>
                <thead>
                  <tr>
                    <th scope="col">{t('calibration.call')}</th>
                    {[...names].map(([who, name]) => (
                      <th key={who} scope="col">
                        {name}
                      </th>
                    ))}
                  </tr>
                </thead>
                <tbody>
                  {calls.map((call) => (
                    <tr key={call}>
                      <th scope="row">
                        <code>{call}</code>
                      </th>
                      {[...names.keys()].map((who) => {
                        const task = value.tasks.find((one) => one.call_id === call && one.assigned_to === who);
                        if (task === undefined) return <td key={who}>–</td>;
                        const mine = who === me?.user_id && task.state === 'claimed';
                        return (
                          <td key={who}>
                            {mine ? (
                              <Link to={`/qa/reviews/${task.review_id}`}>{t('calibration.answer')}</Link>
                            ) : (
                              <span class={task.state === 'done' ? undefined : 'dim'}>
                                {t(`review.state.${task.state}`)}
                              </span>
                            )}
                          </td>
                        );
                      })}
                    </tr>
                  ))}
                </tbody>
              </table>
            </div>
            {value.overall === null ? (
              <p class="empty">{t('calibration.wait')}</p>
            ) : (
              <>
                <h2 class="section-title">{t('calibration.result')}</h2>
                <AgreementTable overall={value.overall} questions={value.questions} />
                <h2 class="section-title">{t('calibration.differences')}</h2>
                {value.differences.length === 0 ? (
                  <p class="empty">{t('calibration.same')}</p>
                ) : (
                  <ul class="plain-list">
                    {value.differences.map((d) => (
                      <li key={`${d.call_id}-${d.question}`} class="panel">
                        <strong>{app.labels.value.rubric_items[d.question]?.name ?? d.question}</strong>{' '}
                        <Link to={`/calls/${encodeURIComponent(d.call_id)}`}>{d.call_id}</Link>
                        <p class="small-text">
                          {Object.entries(d.answers).map(([who, answer]) => (
                            <span key={who} class="chip static">
                              {names.get(who)}：{t(`qa.${answer}`)}
                            </span>
                          ))}
                        </p>
                      </li>
                    ))}
                  </ul>
                )}
              </>
            )}
          </>
        )}
      </main>
    </Shell>
  );
}
