// Feedback the server has not acknowledged yet. Pure: every function returns a new outbox.
import type { ClientMessage, Feedback } from './protocol.ts';

export type FeedbackMessage = Extract<ClientMessage, { type: 'feedback' }>;
export type Outbox = readonly FeedbackMessage[];

export const OUTBOX_LIMIT = 200;

/** Adds one. The same action on the same suggestion is one entry (the server is idempotent in the same way); the later text wins. */
export function enqueue(outbox: Outbox, clientId: string, feedback: Feedback): Outbox {
  const message: FeedbackMessage = { type: 'feedback', client_id: clientId, ...feedback };
  const rest = outbox.filter((m) => !sameTarget(m, message));
  // Full only if the server has been away for hundreds of clicks: the oldest goes.
  return [...rest, message].slice(-OUTBOX_LIMIT);
}

export function acknowledge(outbox: Outbox, clientId: string): Outbox {
  return outbox.filter((m) => m.client_id !== clientId);
}

function sameTarget(a: FeedbackMessage, b: FeedbackMessage): boolean {
  return a.call_id === b.call_id && a.suggestion_id === b.suggestion_id && a.action === b.action;
}
