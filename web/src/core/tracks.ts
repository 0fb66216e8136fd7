// What the player loads: the listening copy, one file with a side for each channel, or a file a leg while there is none. Pure.
import type { HiddenSpan } from '../gen/types.ts';
import type { Recording } from '../net/api.ts';
import type { Channel } from './protocol.ts';
import type { Side } from './stereo.ts';

export interface Track {
  /** Changes whenever another file must be loaded. */
  key: string;
  /** Null: the listening copy of this version. */
  leg: Channel | null;
  version: number;
}

export type Source = 'copy' | 'segments';

export function sourceOf(recording: Recording): Source {
  return recording.copy !== null ? 'copy' : 'segments';
}

export function tracksOf(recording: Recording, original: boolean): Track[] {
  const sound = original ? 'original' : 'masked';
  const { copy } = recording;
  if (copy !== null) return [{ key: `copy/${copy.version}/${sound}`, leg: null, version: copy.version }];
  return recording.legs.map(({ channel }) => ({ key: `${channel}/${sound}`, leg: channel, version: 0 }));
}

/** Which side of the copy holds a channel: the first channel is left. A copy with one channel has no sides. */
export function sideOf(recording: Recording, channel: Channel | 'both'): Side {
  const channels = recording.copy?.channels ?? [];
  if (channel === 'both' || channels.length < 2) return 'both';
  const at = channels.indexOf(channel);
  return at < 0 ? 'both' : at === 0 ? 'left' : 'right';
}

/** The spans of the copy that are masked on a leg: those of every leg and its own. */
export function hiddenOn(recording: Recording, channel: Channel): HiddenSpan[] {
  return (recording.copy?.hidden ?? []).filter((span) => span.channel === null || span.channel === channel);
}
