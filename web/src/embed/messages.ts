// What a host page and the sidebar in its frame say to each other by postMessage. Each side checks the other's origin and window first.
import type { Action, Keys } from '../core/keys.ts';

export const VERSION = 1;

/** Frame → host. */
export type FromFrame = { pangting: typeof VERSION } & (
  | { type: 'ready'; keys: Keys }
  /** A short-lived token is wanted, to sign the agent in. */
  | { type: 'token_wanted' }
  | { type: 'signed_in'; username: string }
  | { type: 'call'; call_id: string | null; phase: string }
  | { type: 'adopted'; call_id: string | null; suggestion_id: string; text: string }
  /** What the agent typed in the frame is done: the cursor may go back to where it was. */
  | { type: 'focus_back' }
);

/** Host → frame. */
export type FromHost = { pangting: typeof VERSION } & (
  | { type: 'hello'; language?: string; theme?: string }
  | { type: 'token'; token: string }
  | { type: 'chord'; action: Action }
);

/** The data of a message event if it is one of ours, else null. */
export function readMessage<T extends { pangting: typeof VERSION }>(data: unknown): T | null {
  if (typeof data !== 'object' || data === null) return null;
  const message = data as { pangting?: unknown; type?: unknown };
  return message.pangting === VERSION && typeof message.type === 'string' ? (data as T) : null;
}
