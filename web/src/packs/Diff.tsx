// What a version changes, line by line with three lines around each change.
import { useCallback } from 'preact/hooks';
import type { PacksApi, Piece } from '../net/packs.ts';
import { useLoaded } from '../review/QueuePage.tsx';
import { useApp } from '../ui/app.ts';
import { ErrorBox, Skeleton } from '../ui/Shell.tsx';

const AROUND = 3;

interface Props {
  api: PacksApi;
  name: string;
  version: number;
  old: number;
  /** Read again when it grows. */
  revision: number;
}

export function PackDiff({ api, name, version, old, revision }: Props) {
  const app = useApp();
  const t = app.t.value;
  const read = useCallback(() => api.diff(name, version, old || undefined), [api, name, version, old, revision]);
  const { value, error, again } = useLoaded(read);
  if (error !== null && value === null) return <ErrorBox error={error} onRetry={again} />;
  if (value === null) return <Skeleton lines={10} />;
  const pieces = shortened(value.pieces);
  return (
    <section data-testid="pack-diff">
      <p class="dim">
        {value.old === 0 ? t('packs.diff.first') : t('packs.diff.between', { old: value.old, new: value.new })}
      </p>
      {value.pieces.every((p) => p.op === 'same') ? (
        <p class="empty">{t('packs.diff.same')}</p>
      ) : (
        <pre class="pack-diff">
          {pieces.map((piece, i) =>
            piece.op === 'added' ? (
              <ins key={i}>{piece.text}</ins>
            ) : piece.op === 'removed' ? (
              <del key={i}>{piece.text}</del>
            ) : (
              <span key={i}>{piece.text}</span>
            ),
          )}
        </pre>
      )}
    </section>
  );
}

/** Long unchanged stretches keep ``AROUND`` lines at either end. */
export function shortened(pieces: readonly Piece[]): Piece[] {
  return pieces.map((piece, i) => {
    if (piece.op !== 'same') return piece;
    const lines = piece.text.split('\n');
    const head = i === 0 ? 0 : AROUND;
    const tail = i === pieces.length - 1 ? 0 : AROUND + 1;
    if (lines.length <= head + tail + 2) return piece;
    const kept = [...lines.slice(0, head), `⋯ ${lines.length - head - tail}`, ...lines.slice(lines.length - tail)];
    return { op: 'same', text: kept.join('\n') };
  });
}
