// Hearing one side of a stereo file on both ears.

export type Side = 'both' | 'left' | 'right';

/** Gains of a 2×2 mixer: from which side of the file to which ear. Pure. */
export function sideGains(side: Side): { from: 0 | 1; to: 0 | 1; gain: 0 | 1 }[] {
  const open = (from: 0 | 1, to: 0 | 1): boolean =>
    side === 'both' ? from === to : from === (side === 'left' ? 0 : 1);
  return ([0, 1] as const).flatMap((from) =>
    ([0, 1] as const).map((to) => ({ from, to, gain: open(from, to) ? 1 : 0 }) as const),
  );
}

/** Takes the sound of a media element over for as long as that element lives. */
export class SideSwitch {
  readonly #gains: GainNode[];

  constructor(context: AudioContext, element: HTMLMediaElement) {
    const splitter = context.createChannelSplitter(2);
    const merger = context.createChannelMerger(2);
    context.createMediaElementSource(element).connect(splitter);
    this.#gains = sideGains('both').map(({ from, to, gain }) => {
      const node = context.createGain();
      node.gain.value = gain;
      splitter.connect(node, from);
      node.connect(merger, 0, to);
      return node;
    });
    merger.connect(context.destination);
  }

  set(side: Side): void {
    sideGains(side).forEach(({ gain }, i) => {
      const node = this.#gains[i];
      if (node !== undefined) node.gain.value = gain;
    });
  }
}
