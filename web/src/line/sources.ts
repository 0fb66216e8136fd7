// Where a call's sound comes from: the microphone, or a file that is played in real time.
import type { Problem } from '../core/linestate.ts';
import captureUrl from './capture.worklet.ts?worker&url';

export interface SourceEvents {
  /** 20 ms at 16 kHz. */
  frame(samples: Int16Array<ArrayBuffer>): void;
  /** The device is gone. */
  lost(): void;
  /** The file has come to its end. */
  ended(): void;
}

export interface SoundSource {
  /** Silent while hushed: the microphone hears nothing, the file stands still. Frames go on. */
  hush(on: boolean): void;
  /** Another microphone ('' is the system's choice), also after the one before was lost. Raises SourceFault. */
  use(deviceId: string): Promise<void>;
  close(): void;
}

export type OpenSource = (events: SourceEvents) => Promise<SoundSource>;

export class SourceFault extends Error {
  readonly problem: Problem;
  constructor(problem: Problem) {
    super(problem);
    this.problem = problem;
  }
}

/** Browsers give sound to pages only over https or from the machine itself. */
export function canCapture(): boolean {
  return window.isSecureContext && navigator.mediaDevices !== undefined && 'AudioWorkletNode' in window;
}

/** The microphones; their names are known only once the person has allowed one. */
export async function microphones(): Promise<MediaDeviceInfo[]> {
  const devices = await navigator.mediaDevices.enumerateDevices();
  return devices.filter((d) => d.kind === 'audioinput' && d.deviceId !== '');
}

export function microphone(deviceId: string): OpenSource {
  return async (events) => {
    // The permission first: no audio context is needed where it is refused.
    const stream = await openStream(deviceId);
    const capture = await Capture.open(events).catch((fault: unknown) => {
      stop(stream);
      throw fault;
    });
    const source = new Microphone(capture, events);
    source.plug(stream);
    return source;
  };
}

export function soundFile(file: File): OpenSource {
  return async (events) => {
    const capture = await Capture.open(events);
    try {
      return await FileSource.open(file, capture, events);
    } catch (fault) {
      capture.close();
      throw fault;
    }
  };
}

/** The audio graph that both share: something → the worklet → silence, so that the browser keeps it running. */
class Capture {
  readonly context: AudioContext;
  readonly node: AudioWorkletNode;

  private constructor(context: AudioContext, events: SourceEvents) {
    this.context = context;
    this.node = new AudioWorkletNode(context, 'capture', {
      channelCount: 1,
      channelCountMode: 'explicit',
      outputChannelCount: [1],
    });
    this.node.port.onmessage = (e: MessageEvent<Int16Array<ArrayBuffer>>) => events.frame(e.data);
    this.node.connect(context.destination);
  }

  static async open(events: SourceEvents): Promise<Capture> {
    const context = new AudioContext({ latencyHint: 'interactive' });
    try {
      await context.audioWorklet.addModule(captureUrl);
      await context.resume();
      return new Capture(context, events);
    } catch (fault) {
      void context.close();
      throw fault;
    }
  }

  close(): void {
    this.node.port.onmessage = null;
    this.node.port.postMessage('stop');
    void this.context.close();
  }
}

class Microphone implements SoundSource {
  readonly #capture: Capture;
  readonly #events: SourceEvents;
  #stream: MediaStream | null = null;
  #input: MediaStreamAudioSourceNode | null = null;
  #hushed = false;
  #closed = false;

  constructor(capture: Capture, events: SourceEvents) {
    this.#capture = capture;
    this.#events = events;
  }

  plug(stream: MediaStream): void {
    this.#unplug();
    this.#stream = stream;
    this.#input = this.#capture.context.createMediaStreamSource(stream);
    this.#input.connect(this.#capture.node);
    for (const track of stream.getAudioTracks()) {
      track.enabled = !this.#hushed;
      track.onended = () => this.#events.lost();
    }
  }

  async use(deviceId: string): Promise<void> {
    const stream = await openStream(deviceId);
    if (this.#closed) stop(stream);
    else this.plug(stream);
  }

  hush(on: boolean): void {
    this.#hushed = on;
    for (const track of this.#stream?.getAudioTracks() ?? []) track.enabled = !on;
  }

  close(): void {
    this.#closed = true;
    this.#unplug();
    this.#capture.close();
  }

  #unplug(): void {
    this.#input?.disconnect();
    if (this.#stream !== null) stop(this.#stream);
    this.#stream = this.#input = null;
  }
}

class FileSource implements SoundSource {
  readonly #capture: Capture;
  readonly #player: HTMLAudioElement;

  private constructor(capture: Capture, player: HTMLAudioElement, events: SourceEvents) {
    this.#capture = capture;
    this.#player = player;
    const input = capture.context.createMediaElementSource(player);
    input.connect(capture.node);
    // Who plays a file wants to hear where it is.
    input.connect(capture.context.destination);
    player.onended = () => events.ended();
  }

  static async open(file: File, capture: Capture, events: SourceEvents): Promise<FileSource> {
    const player = new Audio(URL.createObjectURL(file));
    const source = new FileSource(capture, player, events);
    try {
      await player.play();
    } catch {
      URL.revokeObjectURL(player.src);
      throw new SourceFault('bad_file');
    }
    return source;
  }

  hush(on: boolean): void {
    if (on) this.#player.pause();
    else void this.#player.play();
  }

  async use(): Promise<void> {
    // A file has no other device.
  }

  close(): void {
    this.#player.onended = null;
    this.#player.pause();
    URL.revokeObjectURL(this.#player.src);
    this.#capture.close();
  }
}

async function openStream(deviceId: string): Promise<MediaStream> {
  // What a telephone would send: the recogniser hears better without a browser's noise filter, and nothing is played that could echo.
  const audio = { channelCount: 1, echoCancellation: false, noiseSuppression: false, autoGainControl: true };
  try {
    return await navigator.mediaDevices.getUserMedia({
      audio: deviceId === '' ? audio : { ...audio, deviceId: { exact: deviceId } },
    });
  } catch (fault) {
    throw new SourceFault(problemOf(fault instanceof Error ? fault.name : ''));
  }
}

function problemOf(name: string): Problem {
  if (name === 'NotAllowedError' || name === 'SecurityError') return 'denied';
  if (name === 'NotFoundError' || name === 'OverconstrainedError') return 'no_device';
  return 'device_busy';
}

function stop(stream: MediaStream): void {
  for (const track of stream.getTracks()) {
    track.onended = null;
    track.stop();
  }
}
