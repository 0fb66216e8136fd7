// On the page of a call: what people answered, appeals, and the way into review and appeal.
import { useCallback, useMemo, useState } from 'preact/hooks';
import { moment } from '../core/format.ts';
import type { Artifact, QaScorecard } from '../gen/types.ts';
import { QaApi, type RuleOutcome } from '../net/qa.ts';
import { useApp } from '../ui/app.ts';
import { Dialog } from '../ui/Dialog.tsx';
import { Link, Skeleton } from '../ui/Shell.tsx';
import { useLoaded } from './QueuePage.tsx';
import { Verdicts } from './ReviewPage.tsx';

const MAY_QUEUE = ['inspector', 'qa_lead', 'team_lead', 'ops_admin'];

export function CallReview({ callId, artifact }: { callId: string; artifact: Artifact | undefined }) {
  const app = useApp();
  const t = app.t.value;
  const qa = useMemo(() => new QaApi(app.api), [app]);
  const { value, again } = useLoaded(useCallback(() => qa.history(callId), [qa, callId]));
  const [appealing, setAppealing] = useState(false);
  const roles = app.session.value?.user.roles ?? [];
  if (artifact === undefined || value === null) return null;
  const queue = async (): Promise<void> => {
    try {
      const review = await qa.add(callId);
      app.go(`/qa/reviews/${review.review_id}`);
    } catch (e) {
      app.say(app.describe(e));
    }
  };
  return (
    <>
      <p class="buttons review-links">
        {value.verdicts.length > 0 && (
          <span class="chip static" data-testid="reviewed">
            {t('review.reviewed')}
          </span>
        )}
        {value.appeals.map((a) => (
          <Link key={a.appeal_id} to={`/qa/appeals/${a.appeal_id}`}>
            {t('appeal.title')}：{t(`appeal.state.${a.state}`)}
          </Link>
        ))}
        <span class="grow" />
        {value.appeal_until !== null && (
          <button type="button" class="small" data-testid="appeal" onClick={() => setAppealing(true)}>
            {t('appeal.file.until', { at: moment(value.appeal_until, app.language.value, new Date()) })}
          </button>
        )}
        {roles.some((r) => MAY_QUEUE.includes(r)) && (
          <button type="button" class="small" data-testid="review-call" onClick={() => void queue()}>
            {t('review.this')}
          </button>
        )}
      </p>
      <Verdicts verdicts={value.verdicts} />
      <Rules qa={qa} callId={callId} />
      {appealing && (
        <FileAppeal
          qa={qa}
          callId={callId}
          card={artifact.body as QaScorecard}
          onClose={() => setAppealing(false)}
          onFiled={() => {
            setAppealing(false);
            again();
          }}
        />
      )}
    </>
  );
}

/** Live alerts beside those of the finished transcript; asked for when it is opened. */
function Rules({ qa, callId }: { qa: QaApi; callId: string }) {
  const app = useApp();
  const t = app.t.value;
  const [rules, setRules] = useState<readonly RuleOutcome[] | null>(null);
  const [fault, setFault] = useState('');
  const read = async (): Promise<void> => {
    try {
      setRules((await qa.rules(callId)).rules);
      setFault('');
    } catch (e) {
      setFault(app.describe(e));
    }
  };
  return (
    <details
      class="panel"
      data-testid="rules-compared"
      onToggle={(e) => {
        if (e.currentTarget.open && rules === null) void read();
      }}
    >
      <summary>{t('rules.title')}</summary>
      {fault !== '' && (
        <p class="form-error" role="alert">
          {fault}
        </p>
      )}
      {rules === null && fault === '' && <Skeleton lines={3} />}
      {rules?.length === 0 && <p class="empty">{t('rules.none')}</p>}
      {rules !== null && rules.length > 0 && (
        <table>
          <thead>
            <tr>
              <th scope="col">{t('rules.rule')}</th>
              <th scope="col" class="right">
                {t('rules.both')}
              </th>
              <th scope="col" class="right">
                {t('rules.live')}
              </th>
              <th scope="col" class="right">
                {t('rules.after')}
              </th>
            </tr>
          </thead>
          <tbody>
            {rules.map((r) => (
              <tr key={r.rule_id} data-testid="rule-row" data-rule-id={r.rule_id}>
                <th scope="row">{app.labels.value.compliance_rules[r.rule_id]?.name ?? r.rule_id}</th>
                <td class="num right">{r.both.length}</td>
                <td class={`num right${r.live.length > 0 ? ' bad' : ''}`}>{r.live.length}</td>
                <td class={`num right${r.after.length > 0 ? ' bad' : ''}`}>{r.after.length}</td>
              </tr>
            ))}
          </tbody>
        </table>
      )}
    </details>
  );
}

function FileAppeal({
  qa,
  callId,
  card,
  onClose,
  onFiled,
}: {
  qa: QaApi;
  callId: string;
  card: QaScorecard;
  onClose: () => void;
  onFiled: () => void;
}) {
  const app = useApp();
  const t = app.t.value;
  const labels = app.labels.value.rubric_items;
  const [items, setItems] = useState<readonly string[]>([]);
  const [reason, setReason] = useState('');
  const [fault, setFault] = useState('');
  const submit = async (): Promise<void> => {
    try {
      await qa.fileAppeal(callId, items, reason);
      app.say(t('appeal.filed'));
      onFiled();
    } catch (e) {
      setFault(app.describe(e));
    }
  };
  return (
    <Dialog title={t('appeal.file')} onClose={onClose} testid="appeal-form" wide>
      <form
        onSubmit={(e) => {
          e.preventDefault();
          void submit();
        }}
      >
        <fieldset class="checks">
          <legend>{t('appeal.which')}</legend>
          {card.items
            .filter((i) => i.answer !== 'na')
            .map((i) => (
              <label key={i.item_id} class="check">
                <input
                  type="checkbox"
                  data-item-id={i.item_id}
                  checked={items.includes(i.item_id)}
                  onChange={(e) =>
                    setItems(e.currentTarget.checked ? [...items, i.item_id] : items.filter((one) => one !== i.item_id))
                  }
                />{' '}
                {labels[i.item_id]?.name ?? i.item_id} <span class="dim">{t(`qa.${i.answer}`)}</span>
              </label>
            ))}
        </fieldset>
        <label>
          {t('appeal.why')}
          <textarea
            rows={3}
            value={reason}
            data-testid="appeal-reason"
            onInput={(e) => setReason(e.currentTarget.value)}
          />
        </label>
        <p class="form-error" role="alert">
          {fault}
        </p>
        <button
          type="submit"
          class="primary big"
          data-testid="appeal-send"
          disabled={items.length === 0 || reason.trim() === ''}
        >
          {t('appeal.send')}
        </button>
      </form>
    </Dialog>
  );
}
