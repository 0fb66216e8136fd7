// Two texts of one draft side by side, and the dialog that asks before something is taken away.
import { useState } from 'preact/hooks';
import type { ArticleVersion } from '../gen/types.ts';
import { useApp } from '../ui/app.ts';
import { Dialog } from '../ui/Dialog.tsx';
import { type Text, textOf } from './requests.ts';

const COMPARED = ['title', 'questions', 'answer', 'body', 'source', 'valid_from', 'valid_to'] as const;

export function Conflict({
  mine,
  stored,
  onChoose,
}: {
  mine: Text;
  stored: ArticleVersion;
  onChoose: (choice: 'mine' | 'theirs') => void;
}) {
  const app = useApp();
  const t = app.t.value;
  const theirs = textOf(stored.article);
  const differing = COMPARED.filter((name) => String(mine[name] ?? '') !== String(theirs[name] ?? ''));
  return (
    <Dialog title={t('kbc.conflict.title')} onClose={() => undefined} testid="kb-conflict" wide>
      <p>{t('kbc.conflict.about')}</p>
      <table class="kb-two">
        <thead>
          <tr>
            <th scope="col">{t('kbc.search.field')}</th>
            <th scope="col">{t('kbc.conflict.mine')}</th>
            <th scope="col">{t('kbc.conflict.theirs')}</th>
          </tr>
        </thead>
        <tbody>
          {differing.map((name) => (
            <tr key={name}>
              <th scope="row">{app.word(`kbc.field.${name}`, name)}</th>
              <td class="wrap">{show(mine[name])}</td>
              <td class="wrap">{show(theirs[name])}</td>
            </tr>
          ))}
        </tbody>
      </table>
      <div class="actions">
        <button type="button" data-testid="kb-take-theirs" onClick={() => onChoose('theirs')}>
          {t('kbc.conflict.take')}
        </button>
        <button type="button" class="primary" data-testid="kb-keep-mine" onClick={() => onChoose('mine')}>
          {t('kbc.conflict.keep')}
        </button>
      </div>
    </Dialog>
  );
}

function show(value: string | readonly string[] | null): string {
  return value === null ? '–' : typeof value === 'string' ? value : value.join('\n');
}

export function ReasonDialog(props: {
  title: string;
  about: string;
  withReason?: boolean;
  onClose: () => void;
  onDone: (reason: string) => void;
}) {
  const { title, about, withReason = true, onClose, onDone } = props;
  const t = useApp().t.value;
  const [reason, setReason] = useState('');
  return (
    <Dialog title={title} onClose={onClose} testid="kb-ask">
      <p>{about}</p>
      {withReason && (
        <label class="kb-field">
          {t('kbc.review.reason')}
          <textarea
            rows={2}
            maxLength={2000}
            value={reason}
            data-testid="kb-ask-reason"
            onInput={(e) => setReason(e.currentTarget.value)}
          />
        </label>
      )}
      <div class="actions">
        <button type="button" onClick={onClose}>
          {t('common.cancel')}
        </button>
        <button
          type="button"
          class="primary"
          data-testid="kb-ask-done"
          disabled={withReason && reason.trim().length < 4}
          onClick={() => onDone(reason)}
        >
          {title}
        </button>
      </div>
    </Dialog>
  );
}
