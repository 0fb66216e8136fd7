import { describe, expect, it } from 'vitest';
import { BYTES_PER_MS, FRAME_SAMPLES, Framer, level, RATE_HZ, Resampler } from '../src/core/pcm.ts';

const tone = (hz: number, rate: number, seconds: number, amplitude = 0.5): Float32Array =>
  Float32Array.from(
    { length: Math.round(rate * seconds) },
    (_, n) => amplitude * Math.sin((2 * Math.PI * hz * n) / rate),
  );

const joined = (parts: Float32Array[]): number[] => parts.flatMap((p) => [...p]);

function through(resampler: Resampler, input: Float32Array, cut: number): number[] {
  const parts: Float32Array[] = [];
  for (let i = 0; i < input.length; i += cut) parts.push(resampler.process(input.subarray(i, i + cut)));
  return joined(parts);
}

/** Power of what is left when the tone that should be there is taken away, in dB below it. The ends, where the filter runs in, are left out. */
function errorDb(out: number[], hz: number): number {
  let wanted = 0;
  let wrong = 0;
  for (let n = 400; n < out.length - 400; n += 1) {
    const ideal = 0.5 * Math.sin((2 * Math.PI * hz * n) / RATE_HZ);
    wanted += ideal * ideal;
    wrong += ((out[n] as number) - ideal) ** 2;
  }
  return 10 * Math.log10(wrong / wanted);
}

describe('another sampling rate', () => {
  it.each([48_000, 44_100, 96_000, 24_000, 22_050, 8_000, 16_000])(
    '%i Hz: a tone stays that tone, in time and in level',
    (rate) => {
      const hz = rate === 8_000 ? 700 : 1000;
      const out = through(new Resampler(rate, RATE_HZ), tone(hz, rate, 0.5), 128);
      expect(Math.abs(out.length - RATE_HZ / 2)).toBeLessThan(40);
      expect(errorDb(out, hz)).toBeLessThan(-60);
    },
  );

  it.each([48_000, 44_100])('%i Hz: what 16 kHz cannot carry does not come back as something else', (rate) => {
    const out = through(new Resampler(rate, RATE_HZ), tone(11_000, rate, 0.3), 128).slice(200, -200);
    const rms = Math.sqrt(out.reduce((sum, x) => sum + x * x, 0) / out.length);
    expect(20 * Math.log10(rms / (0.5 / Math.SQRT2))).toBeLessThan(-60);
  });

  it('does not depend on how the input was cut', () => {
    const input = tone(440, 44_100, 0.2);
    const whole = through(new Resampler(44_100, RATE_HZ), input, input.length);
    for (const cut of [1, 7, 128, 1000]) expect(through(new Resampler(44_100, RATE_HZ), input, cut)).toEqual(whole);
  });

  it('keeps time over hours: as many samples as the ratio says', () => {
    const resampler = new Resampler(44_100, RATE_HZ);
    const second = new Float32Array(44_100);
    let samples = 0;
    for (let s = 0; s < 60; s += 1) samples += resampler.process(second).length;
    expect(Math.abs(samples - 60 * RATE_HZ)).toBeLessThan(40);
  });
});

describe('frames', () => {
  it('are 20 ms each, in order, and nothing between them is lost', () => {
    const framer = new Framer();
    const ramp = Float32Array.from({ length: 1000 }, (_, n) => n / 32_767);
    const frames = [ramp.subarray(0, 1), ramp.subarray(1, 700), ramp.subarray(700)].flatMap((part) =>
      framer.push(part),
    );
    expect(FRAME_SAMPLES * 2).toBe(20 * BYTES_PER_MS);
    expect(frames.map((f) => f.length)).toEqual([320, 320, 320]);
    expect(frames.flatMap((f) => [...f])).toEqual(Array.from({ length: 960 }, (_, n) => n));
  });

  it('clip what is too loud and never wrap around', () => {
    const [frame] = new Framer().push(new Float32Array(320).map((_, n) => (n % 2 === 0 ? 3 : -3)));
    expect([...(frame as Int16Array).subarray(0, 2)]).toEqual([32_767, -32_767]);
  });
});

it('the level is 0 for silence, 1 for full scale, and halves by decibels', () => {
  expect(level(new Int16Array(320))).toBe(0);
  expect(level(new Int16Array(320).fill(32_767))).toBeCloseTo(1, 3);
  expect(level(new Int16Array(320).fill(1036))).toBeCloseTo(0.5, 2);
  expect(level(new Int16Array(320).fill(5))).toBe(0);
});
