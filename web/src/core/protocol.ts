// The messages of the live feed, subprotocol "pangting.feed.v1". Payload types come from the Python domain (src/gen/types.ts).
import type { Call, EventEnvelope, TranscriptPartial } from '../gen/types.ts';
import type { BoardMessage } from './board.ts';

export const FEED_PROTOCOL = 'pangting.feed.v1';

export type CallEvent = EventEnvelope['event'];
export type Channel = TranscriptPartial['channel'];
export type EventOf<T extends CallEvent['type']> = Extract<CallEvent, { type: T }>;
export type FeedbackAction = EventOf<'suggestion_feedback'>['action'];
export type ArtifactKind = EventOf<'artifact_ready'>['kind'];
export const ARTIFACT_KINDS: readonly ArtifactKind[] = ['summary', 'ticket', 'qa', 'mood', 'keywords', 'recording'];
/** Those with a tab of their own; the recording is heard in the player. */
export type TextArtifactKind = Extract<ArtifactKind, 'summary' | 'ticket' | 'qa'>;
export const TEXT_ARTIFACT_KINDS: readonly TextArtifactKind[] = ['summary', 'ticket', 'qa'];

export interface User {
  user_id: string;
  username: string;
  display_name: string;
  roles: string[];
  org_id: string;
}

export interface Feedback {
  call_id: string;
  suggestion_id: string;
  action: FeedbackAction;
  text?: string;
  reason?: string;
}

export type CallMessage =
  | { type: 'call_opened'; call: Call }
  | { type: 'event'; call_id: string; envelope: EventEnvelope }
  | { type: 'partial'; call_id: string; partial: TranscriptPartial }
  | { type: 'speech'; call_id: string; channel: Channel; speaking: boolean; at_ms: number }
  /** Words of a generated reply beside the card ``suggestion_id``. */
  | { type: 'reply_delta'; call_id: string; suggestion_id: string; text: string }
  /** That reply will not be shown: forget its words. */
  | { type: 'reply_dropped'; call_id: string; suggestion_id: string }
  | { type: 'secrets'; call_id: string; values: Record<string, string> }
  /** This screen is to forget the call: it was given to another agent, may not be seen any more, or is over and made room. */
  | { type: 'call_released'; call_id: string; reason: 'transferred' | 'out_of_scope' | 'ended' };

export type ServerMessage =
  | { type: 'welcome'; user: User; server_time: string; heartbeat_s: number }
  | CallMessage
  /** The live board: whole when ``reset``, else what changed. */
  | BoardMessage
  | { type: 'ack'; client_id: string }
  | { type: 'heartbeat' }
  /** With ``client_id`` it answers one feedback that cannot be stored; without, it says why the connection will be closed. */
  | { type: 'problem'; title: string; detail: string; client_id?: string };

export type ClientMessage =
  | { type: 'hello'; ticket: string; resume: Record<string, number> }
  | { type: 'watch'; call_id: string; after_seq: number }
  | { type: 'unwatch'; call_id: string }
  | { type: 'board'; on: boolean }
  | ({ type: 'feedback'; client_id: string } & Feedback)
  | { type: 'pong' };
