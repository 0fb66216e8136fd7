import { describe, expect, it } from 'vitest';
import { BYTES_PER_MS } from '../src/core/pcm.ts';
import { type Piece, SendBuffer } from '../src/core/sendbuffer.ts';

const FRAME = 20 * BYTES_PER_MS;
/** A frame that can be told from the others. */
const frame = (n: number): Uint8Array<ArrayBuffer> => new Uint8Array(FRAME).fill(n);
const fill = (buffer: SendBuffer, from: number, to: number): void => {
  for (let n = from; n < to; n += 1) buffer.push(frame(n));
};
const drain = (buffer: SendBuffer): Piece[] => {
  const pieces: Piece[] = [];
  for (let piece = buffer.next(); piece !== null; piece = buffer.next()) pieces.push(piece);
  return pieces;
};
const told = (pieces: Piece[]): (number | string)[] =>
  pieces.map((p) => (p.kind === 'audio' ? (p.bytes[0] as number) : `${p.reason} ${p.ms}`));
/** What the server's count of the call is after it got these. */
const counted = (pieces: Piece[]): number =>
  pieces.reduce((sum, p) => sum + (p.kind === 'audio' ? p.bytes.length : p.ms * BYTES_PER_MS), 0);

describe('on a line that stays', () => {
  it('gives everything once and in order, pauses included', () => {
    const buffer = new SendBuffer();
    fill(buffer, 0, 2);
    expect(told(drain(buffer))).toEqual([0, 1]);
    buffer.gap(3000, 'paused');
    buffer.push(frame(2));
    expect(buffer.waitingMs).toBe(3020);
    expect(told(drain(buffer))).toEqual(['paused 3000', 2]);
    expect(buffer.next()).toBeNull();
    expect(buffer.end).toBe(3 * FRAME + 3000 * BYTES_PER_MS);
  });

  it('a slow line loses the oldest audio and says how much', () => {
    const buffer = new SendBuffer(100);
    fill(buffer, 0, 8);
    const pieces = drain(buffer);
    expect(told(pieces)).toEqual(['lost 60', 3, 4, 5, 6, 7]);
    expect(counted(pieces)).toBe(buffer.end);
  });

  it('is bounded, also for those who press pause again and again', () => {
    const buffer = new SendBuffer(1000);
    for (let n = 0; n < 10_000; n += 1) buffer.gap(20, 'paused');
    expect(buffer.end - buffer.start).toBeLessThanOrEqual(4096 * FRAME);
    fill(buffer, 0, 200);
    expect(buffer.end - buffer.start).toBeLessThanOrEqual(1000 * BYTES_PER_MS + 4096 * FRAME);
    fill(buffer, 0, 5000);
    expect(buffer.end - buffer.start).toBe(1000 * BYTES_PER_MS);
  });
});

describe('on a line that dropped', () => {
  it('sends from the first byte the server lacks, and says what it leaves out', () => {
    const buffer = new SendBuffer();
    fill(buffer, 0, 10);
    drain(buffer);
    fill(buffer, 10, 12);
    const offered = buffer.start;
    expect(offered).toBe(0);
    const behind = buffer.goOn(offered, 7 * FRAME);
    expect(behind).toBe(140);
    const pieces = drain(buffer);
    expect(told(pieces)).toEqual([7, 8, 9, 10, 11]);
    expect(behind * BYTES_PER_MS + counted(pieces)).toBe(buffer.end - offered);
  });

  it('cuts a frame or a pause that the server heard in part', () => {
    const buffer = new SendBuffer();
    buffer.push(frame(0));
    buffer.gap(1000, 'paused');
    buffer.push(frame(1));
    expect(buffer.goOn(0, 5 * BYTES_PER_MS + 3)).toBe(5);
    const [first, pause] = drain(buffer);
    expect((first as { bytes: Uint8Array }).bytes.length).toBe(15 * BYTES_PER_MS);
    expect(pause).toEqual({ kind: 'gap', ms: 1000, reason: 'paused' });
    expect(buffer.goOn(0, FRAME + 400 * BYTES_PER_MS)).toBe(420);
    expect(told(drain(buffer))).toEqual(['paused 600', 1]);
  });

  it('what fell out meanwhile is nobody’s twice: the server makes a gap of it', () => {
    const buffer = new SendBuffer(100);
    fill(buffer, 0, 4);
    drain(buffer);
    fill(buffer, 4, 14);
    const offered = buffer.start;
    expect(offered).toBe(9 * FRAME);
    expect(buffer.goOn(offered, 4 * FRAME)).toBe(0);
    expect(told(drain(buffer))).toEqual([9, 10, 11, 12, 13]);
  });

  it('what falls out between the offer and the answer is told as a gap', () => {
    const buffer = new SendBuffer(100);
    fill(buffer, 0, 5);
    const offered = buffer.start;
    fill(buffer, 5, 7);
    const behind = buffer.goOn(offered, 0);
    expect(behind).toBe(40);
    const pieces = drain(buffer);
    expect(told(pieces)).toEqual([2, 3, 4, 5, 6]);
    expect(behind * BYTES_PER_MS + counted(pieces)).toBe(buffer.end - offered);
  });

  it('a server that claims more than was ever said gets what comes next', () => {
    const buffer = new SendBuffer();
    fill(buffer, 0, 2);
    expect(buffer.goOn(0, 99 * FRAME)).toBe(40);
    expect(buffer.next()).toBeNull();
    buffer.push(frame(2));
    expect(told(drain(buffer))).toEqual([2]);
  });
});
