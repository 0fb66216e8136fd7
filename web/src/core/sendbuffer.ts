// What a page still has of the audio it captured: sent, or waiting to be sent. A line that dropped goes on from here. No I/O.
import { BYTES_PER_MS } from './pcm.ts';

export type GapReason = 'paused' | 'lost';
export type Piece = { kind: 'audio'; bytes: Uint8Array<ArrayBuffer> } | { kind: 'gap'; ms: number; reason: GapReason };

interface Held {
  /** Place in the call's audio, in bytes since its first one. */
  at: number;
  size: number;
  piece: Piece;
}

/** Server nodes ask for at most 30 s before the last final; the rest is for the time the line is away. */
export const KEPT_MS = 45_000;
/** More pieces than so much audio has frames, for those who press pause again and again. */
const MOST_PIECES = 4096;

/** Bounded: what is older than ``keptMs`` of audio goes first; if it was not sent, the server hears of a gap in its place. */
export class SendBuffer {
  readonly #limit: number;
  #held: Held[] = [];
  #audioBytes = 0;
  #end = 0;
  #cursor = 0;
  #lost = 0;

  constructor(keptMs = KEPT_MS) {
    this.#limit = keptMs * BYTES_PER_MS;
  }

  /** The oldest place that can still be sent. */
  get start(): number {
    return this.#held[0]?.at ?? this.#end;
  }
  get end(): number {
    return this.#end;
  }
  /** Media time that waits to be sent. */
  get waitingMs(): number {
    return (this.#end - this.#cursor) / BYTES_PER_MS;
  }

  push(bytes: Uint8Array<ArrayBuffer>): void {
    this.#audioBytes += bytes.length;
    this.#add({ kind: 'audio', bytes }, bytes.length);
  }

  gap(ms: number, reason: GapReason): void {
    if (ms > 0) this.#add({ kind: 'gap', ms, reason }, ms * BYTES_PER_MS);
  }

  /** The next piece to send, in order; null when everything is sent. */
  next(): Piece | null {
    if (this.#lost > 0) {
      const ms = Math.round(this.#lost / BYTES_PER_MS);
      this.#lost = 0;
      return { kind: 'gap', ms, reason: 'lost' };
    }
    const held = this.#held[this.#index()];
    if (held === undefined) return null;
    const known = this.#cursor - held.at;
    this.#cursor = held.at + held.size;
    if (known === 0) return held.piece;
    return held.piece.kind === 'audio'
      ? { kind: 'audio', bytes: held.piece.bytes.subarray(known) }
      : { ...held.piece, ms: held.piece.ms - known / BYTES_PER_MS };
  }

  /**
   * A new connection began at ``offered`` and the server has ``heard`` so many bytes: the next piece is the first that it lacks. Returns
   * the ms from ``offered`` to there: told as a gap, they keep the connection's count of the call right.
   */
  goOn(offered: number, heard: number): number {
    const known = Math.floor(Math.max(0, Math.min(heard, this.#end) - offered) / BYTES_PER_MS);
    this.#lost = 0;
    this.#cursor = Math.max(this.start, offered + known * BYTES_PER_MS);
    return (this.#cursor - offered) / BYTES_PER_MS;
  }

  #add(piece: Piece, size: number): void {
    this.#held.push({ at: this.#end, size, piece });
    this.#end += size;
    while (this.#audioBytes > this.#limit || this.#held.length > MOST_PIECES) this.#forget();
  }

  #forget(): void {
    const oldest = this.#held.shift() as Held;
    if (oldest.piece.kind === 'audio') this.#audioBytes -= oldest.piece.bytes.length;
    const unsent = this.start - this.#cursor;
    if (unsent > 0) {
      this.#lost += unsent;
      this.#cursor = this.start;
    }
  }

  /** Of the piece that the cursor is in. */
  #index(): number {
    let low = 0;
    let high = this.#held.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      const held = this.#held[middle] as Held;
      if (held.at + held.size <= this.#cursor) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}
