import { describe, expect, it } from 'vitest';
import { sideGains } from '../src/core/stereo.ts';
import { hiddenOn, sideOf, sourceOf, tracksOf } from '../src/core/tracks.ts';
import { Api, type Recording } from '../src/net/api.ts';

const leg = (channel: 'customer' | 'agent') => ({ channel, sample_rate_hz: 8000, duration_ms: 9000, gaps: [] });
const segments: Recording = { legs: [leg('customer'), leg('agent')], copy: null, may_hear_original: false };
const copied: Recording = {
  ...segments,
  copy: {
    version: 3,
    channels: ['customer', 'agent'],
    sample_rate_hz: 8000,
    duration_ms: 9000,
    complete: true,
    hidden: [
      { start_ms: 1000, end_ms: 2000, channel: null },
      { start_ms: 3000, end_ms: 4000, channel: 'agent' },
    ],
  },
};

describe('what is loaded', () => {
  it('is a file a leg while there is no copy, then the copy', () => {
    expect(sourceOf(segments)).toBe('segments');
    expect(tracksOf(segments, false).map((t) => t.leg)).toEqual(['customer', 'agent']);
    expect(sourceOf(copied)).toBe('copy');
    expect(tracksOf(copied, false)).toEqual([{ key: 'copy/3/masked', leg: null, version: 3 }]);
  });

  it('is another file when a new version is there, or the original is asked for', () => {
    const newer: Recording = { ...copied, copy: copied.copy && { ...copied.copy, version: 4 } };
    const keys = [copied, newer].flatMap((r) => [false, true].map((original) => tracksOf(r, original)[0]?.key));
    expect(new Set(keys).size).toBe(4);
    expect(tracksOf(segments, true)[0]?.key).not.toBe(tracksOf(segments, false)[0]?.key);
  });

  it('asks for the original only when told to', () => {
    const api = new Api(
      () => Promise.reject(new Error('no network here')),
      () => null,
      () => undefined,
    );
    expect(api.copyUrl('a/b', 3, 't', false)).toBe('/api/v1/calls/a%2Fb/audio/copy.flac?version=3&ticket=t');
    expect(api.copyUrl('c', 3, 't', true)).toBe('/api/v1/calls/c/audio/copy.flac?version=3&ticket=t&original=true');
    expect(api.legUrl('c', 'agent', 't', false)).toBe('/api/v1/calls/c/audio/agent.wav?ticket=t');
    expect(api.legUrl('c', 'agent', 't', true)).toBe('/api/v1/calls/c/audio/agent.wav?ticket=t&original=true');
  });
});

it('what is masked on a leg is what is masked on every leg, and on it alone', () => {
  const starts = (channel: 'customer' | 'agent'): number[] => hiddenOn(copied, channel).map((h) => h.start_ms);
  expect(starts('customer')).toEqual([1000]);
  expect(starts('agent')).toEqual([1000, 3000]);
  expect(hiddenOn(segments, 'agent')).toEqual([]);
});

describe('one side of the copy', () => {
  const ears = (side: 'both' | 'left' | 'right'): [number[], number[]] => {
    const out: [number[], number[]] = [[], []];
    for (const { from, to, gain } of sideGains(side)) if (gain === 1) out[to].push(from);
    return out;
  };

  it('is heard on both ears, both sides on their own', () => {
    expect(ears('both')).toEqual([[0], [1]]);
    expect(ears('left')).toEqual([[0], [0]]);
    expect(ears('right')).toEqual([[1], [1]]);
  });

  it('is the channel that stands there', () => {
    expect([sideOf(copied, 'customer'), sideOf(copied, 'agent'), sideOf(copied, 'both')]).toEqual([
      'left',
      'right',
      'both',
    ]);
    const mono: Recording = { ...copied, copy: copied.copy && { ...copied.copy, channels: ['mixed'] } };
    expect(sideOf(mono, 'mixed')).toBe('both');
    expect(sideOf(segments, 'agent')).toBe('both');
  });
});
