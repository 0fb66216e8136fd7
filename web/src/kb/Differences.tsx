// The fields of two versions that differ, with what was taken out and what came in.
import { useApp } from '../ui/app.ts';
import type { Diff } from './requests.ts';

export function Differences({ diff }: { diff: Diff }) {
  const app = useApp();
  const t = app.t.value;
  const word = (field: string, text: string): string =>
    field === 'audience' ? app.word(`kbc.audience.${text}`, text) : text;
  return (
    <div class="kb-diff" data-testid="kb-diff">
      <p class="dim">
        {diff.old === null
          ? t('kbc.diff.new', { new: diff.new })
          : t('kbc.diff.between', { old: diff.old, new: diff.new })}
      </p>
      {diff.fields.length === 0 && <p class="empty">{t('kbc.diff.same')}</p>}
      {diff.fields.map((one) => (
        <section key={one.field}>
          <h3>{app.word(`kbc.field.${one.field}`, one.field)}</h3>
          <p class="pieces">
            {one.pieces.map((piece, i) =>
              piece.op === 'added' ? (
                <ins key={i}>{word(one.field, piece.text)}</ins>
              ) : piece.op === 'removed' ? (
                <del key={i}>{word(one.field, piece.text)}</del>
              ) : (
                piece.text
              ),
            )}
          </p>
        </section>
      ))}
    </div>
  );
}
