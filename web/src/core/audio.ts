// Arithmetic of the player: waveforms as paths, which utterance is heard now. Pure.
import type { Utterance } from './callstate.ts';

/** A mirrored outline of ``peaks`` (each 0..1) in a box of ``width`` × ``height``, as the ``d`` of an SVG path. */
export function wavePath(peaks: readonly number[], width: number, height: number): string {
  if (peaks.length === 0) return '';
  const mid = height / 2;
  const dx = width / peaks.length;
  const y = (p: number): number => Math.max(0.5, Math.min(1, p) * mid);
  const up = peaks.map((p, i) => `${(i * dx).toFixed(2)},${(mid - y(p)).toFixed(2)}`);
  const down = peaks.map((p, i) => `${(i * dx).toFixed(2)},${(mid + y(p)).toFixed(2)}`).reverse();
  return `M${up.join('L')}L${width},${mid}L${down.join('L')}Z`;
}

/** The utterance being spoken at ``ms``: the latest started among those that have not ended, else null. */
export function spokenAt(utterances: readonly Utterance[], ms: number): string | null {
  let found: Utterance | null = null;
  for (const u of utterances) {
    if (u.start_ms <= ms && ms < u.end_ms && (found === null || u.start_ms >= found.start_ms)) found = u;
  }
  return found?.utterance_id ?? null;
}
