// Runs on the audio thread: whatever the rate of the device, frames of 20 ms at 16 kHz go to the page. Silence while nothing is
// connected, so that the call's clock goes on.
import { Framer, RATE_HZ, Resampler } from '../core/pcm.ts';

declare const sampleRate: number;
declare class AudioWorkletProcessor {
  readonly port: MessagePort;
}
declare function registerProcessor(name: string, processor: new () => AudioWorkletProcessor): void;

/** Samples of a rendering quantum, for the blocks in which no input is connected. */
const SILENCE = new Float32Array(128);

class Capture extends AudioWorkletProcessor {
  readonly #resampler = new Resampler(sampleRate, RATE_HZ);
  readonly #framer = new Framer();
  #open = true;

  constructor() {
    super();
    this.port.onmessage = () => {
      this.#open = false;
    };
  }

  process(inputs: Float32Array[][]): boolean {
    const samples = inputs[0]?.[0] ?? SILENCE;
    for (const frame of this.#framer.push(this.#resampler.process(samples)))
      this.port.postMessage(frame, [frame.buffer]);
    return this.#open;
  }
}

registerProcessor('capture', Capture);
