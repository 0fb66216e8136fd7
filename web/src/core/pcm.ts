// Sound on its way to the raw protocol: 16 kHz, 16 bit, one channel, 20 ms a frame. No I/O.

export const RATE_HZ = 16_000;
export const FRAME_MS = 20;
export const FRAME_SAMPLES = (RATE_HZ * FRAME_MS) / 1000;
export const BYTES_PER_MS = (RATE_HZ * 2) / 1000;

/** Zero crossings of the filter on each side of its middle, at the lower of the two rates. */
const CROSSINGS = 16;
/** Where the pass band ends, as a part of the lower rate's half. */
const PASS = 0.92;

/**
 * From one sampling rate to another by a windowed sinc, exactly: the two rates' ratio is kept as whole numbers, so nothing drifts.
 * The input may be cut anywhere; the output is the same.
 */
export class Resampler {
  readonly #up: number;
  readonly #down: number;
  readonly #half: number;
  /** One filter for each place an output sample can have between two input samples. */
  readonly #phases: readonly Float32Array[];
  #kept: Float32Array<ArrayBuffer>;
  /** Place of the next output sample: whole input samples into ``#kept``, and the phase. */
  #at: number;
  #phase = 0;

  constructor(fromHz: number, toHz: number) {
    const shared = gcd(fromHz, toHz);
    this.#up = toHz / shared;
    this.#down = fromHz / shared;
    const cutoff = 0.5 * Math.min(1, toHz / fromHz) * PASS;
    this.#half = Math.ceil(CROSSINGS * Math.max(1, fromHz / toHz));
    this.#phases = Array.from({ length: this.#up }, (_, p) => filter(p / this.#up, this.#half, cutoff));
    this.#kept = new Float32Array(this.#half);
    this.#at = this.#half;
  }

  process(input: Float32Array): Float32Array<ArrayBuffer> {
    if (this.#up === this.#down) return new Float32Array(input);
    const samples = new Float32Array(this.#kept.length + input.length);
    samples.set(this.#kept);
    samples.set(input, this.#kept.length);
    const out: number[] = [];
    while (this.#at + this.#half < samples.length) {
      const taps = this.#phases[this.#phase] as Float32Array;
      const first = this.#at - this.#half + 1;
      let sum = 0;
      for (let i = 0; i < taps.length; i += 1) sum += (taps[i] as number) * (samples[first + i] as number);
      out.push(sum);
      this.#phase += this.#down;
      this.#at += Math.floor(this.#phase / this.#up);
      this.#phase %= this.#up;
    }
    const drop = Math.max(0, this.#at - this.#half);
    this.#kept = samples.slice(drop);
    this.#at -= drop;
    return Float32Array.from(out);
  }
}

/** The taps around a place ``offset`` (0 to 1) after an input sample, with gain 1 for a constant. */
function filter(offset: number, half: number, cutoff: number): Float32Array {
  const taps = new Float32Array(2 * half);
  let sum = 0;
  for (let i = 0; i < taps.length; i += 1) {
    const x = i - half + 1 - offset;
    const angle = 2 * Math.PI * cutoff * x;
    const sinc = angle === 0 ? 1 : Math.sin(angle) / angle;
    const turn = (Math.PI * x) / half;
    const window = Math.abs(x) < half ? 0.42 + 0.5 * Math.cos(turn) + 0.08 * Math.cos(2 * turn) : 0;
    taps[i] = sinc * window;
    sum += taps[i] as number;
  }
  return taps.map((tap) => tap / sum);
}

function gcd(a: number, b: number): number {
  return b === 0 ? a : gcd(b, a % b);
}

/** Cuts samples (−1 to 1) into whole frames of 16-bit samples; what is left waits for the next. */
export class Framer {
  #frame = new Int16Array(FRAME_SAMPLES);
  #filled = 0;

  push(samples: Float32Array): Int16Array<ArrayBuffer>[] {
    const frames: Int16Array<ArrayBuffer>[] = [];
    for (const sample of samples) {
      this.#frame[this.#filled] = Math.round(Math.max(-1, Math.min(1, sample)) * 32_767);
      this.#filled += 1;
      if (this.#filled === FRAME_SAMPLES) {
        frames.push(this.#frame);
        this.#frame = new Int16Array(FRAME_SAMPLES);
        this.#filled = 0;
      }
    }
    return frames;
  }
}

/** Below this nothing is heard (dB of full scale). */
const FLOOR_DB = -60;

/** How loud a frame is for the eye: 0 is silence, 1 is full scale, in between by decibels. */
export function level(frame: Int16Array): number {
  let power = 0;
  for (const sample of frame) power += sample * sample;
  const rms = Math.sqrt(power / Math.max(1, frame.length)) / 32_768;
  const db = rms === 0 ? FLOOR_DB : 20 * Math.log10(rms);
  return Math.max(0, Math.min(1, 1 - db / FLOOR_DB));
}
