// What the screens know of one call: durable events folded in order, and the ephemeral things beside them. Pure.
import type { Call, EventEnvelope, TranscriptPartial } from '../gen/types.ts';
import { applyToCall, emptyCall } from './fold.ts';
import type { ArtifactKind, CallMessage, Channel, EventOf, FeedbackAction } from './protocol.ts';

export type Utterance = EventOf<'utterance_final'>;
export type Degradable = EventOf<'degraded'>['part'];

export interface Card {
  offer: EventOf<'suggestion_offered'>;
  seq: number;
  /** When it was stored, ISO. */
  at: string;
  feedback: FeedbackAction[];
  /** The id of the generated card that took this one's place. */
  replacedBy: string | null;
  /** Sources of this card that are no longer in force, each as ``sourceKey``. */
  gone: string[];
  /** It has left the screen: too old, or one too many. */
  retired: boolean;
  /** Whether the agent said it, as far as can be told from the agent's speech. */
  outcome: EventOf<'suggestion_outcome'> | null;
}

export function sourceKey(source: { article_id: string; version: number }): string {
  return `${source.article_id}@${source.version}`;
}

/** What the card says must not be said any more: its first source is out of force. */
export function isWithdrawn(card: Card): boolean {
  const first = card.offer.citations[0];
  return first !== undefined && card.gone.includes(sourceKey(first));
}

export interface Alert {
  alert: EventOf<'compliance_alerted'>;
  seq: number;
  at: string;
}

/** A supervisor's word to the agent. */
export interface Whisper {
  text: string;
  seq: number;
  at: string;
}

export interface CallState {
  call: Call;
  /** Every applied envelope in order, kept so that a rewritten content can be folded again. */
  log: EventEnvelope[];
  /** Finals ordered by start time, then by arrival. */
  utterances: Utterance[];
  partials: Record<string, TranscriptPartial>;
  speaking: Partial<Record<Channel, boolean>>;
  intents: { event: EventOf<'intent_detected'>; seq: number }[];
  slots: Record<string, EventOf<'slot_filled'>>;
  /** checklist_id → step_id → the utterance that ticked it. */
  ticks: Record<string, Record<string, string>>;
  alerts: Alert[];
  whispers: Whisper[];
  /** One per customer turn, in their order: the newest estimate of each. */
  moods: EventOf<'mood_changed'>[];
  dynamics: EventOf<'dynamics_measured'> | null;
  /** What to do next; null before the first proposal and when nothing is left. */
  nextAction: EventOf<'next_action_proposed'> | null;
  cards: Card[];
  /** suggestion_id of the card beside which it stands → text of a generated reply that is still being written. */
  drafts: Record<string, string>;
  /** utterance_id → what was said, in the agent's language. */
  translations: Record<string, string>;
  gaps: EventOf<'media_gap'>[];
  down: Partial<Record<Degradable, string>>;
  artifacts: Partial<Record<ArtifactKind, number>>;
  failed: Partial<Record<ArtifactKind, string>>;
  /** The versions that were handed in with the after-call form; null while it is open. */
  submitted: Readonly<Record<string, number>> | null;
  metadata: Record<string, string>;
  /** PII token → value; only the owning agent's feed fills it. */
  secrets: Record<string, string>;
  /** Sequence numbers whose content was rewritten and must be read again. */
  stale: number[];
}

export type Outcome = 'applied' | 'duplicate' | 'gap';

export function emptyState(orgId: string, callId: string): CallState {
  return {
    call: emptyCall(orgId, callId),
    log: [],
    utterances: [],
    partials: {},
    speaking: {},
    intents: [],
    slots: {},
    ticks: {},
    alerts: [],
    whispers: [],
    moods: [],
    dynamics: null,
    nextAction: null,
    cards: [],
    drafts: {},
    translations: {},
    gaps: [],
    down: {},
    artifacts: {},
    failed: {},
    submitted: null,
    metadata: {},
    secrets: {},
    stale: [],
  };
}

/** Applies one durable event. A duplicate changes nothing; a hole changes nothing and says so, so that the caller asks again. */
export function applyEvent(state: CallState, envelope: EventEnvelope): { state: CallState; outcome: Outcome } {
  if (envelope.call_id !== state.call.call_id) throw new Error('the event belongs to another call');
  if (envelope.seq <= state.call.last_seq) return { state, outcome: 'duplicate' };
  if (envelope.seq !== state.call.last_seq + 1) return { state, outcome: 'gap' };
  const next: CallState = {
    ...state,
    call: applyToCall({ ...state.call, org_id: envelope.org_id }, envelope),
    log: [...state.log, envelope],
  };
  foldView(next, envelope);
  return { state: next, outcome: 'applied' };
}

export function foldLog(orgId: string, callId: string, envelopes: readonly EventEnvelope[]): CallState {
  return envelopes.reduce((state, envelope) => applyEvent(state, envelope).state, emptyState(orgId, callId));
}

/** The state after contents of already applied events were rewritten (late redaction). */
export function rewrite(state: CallState, envelopes: readonly EventEnvelope[]): CallState {
  const bySeq = new Map(envelopes.map((e) => [e.seq, e]));
  const log = state.log.map((e) => bySeq.get(e.seq) ?? e);
  const folded = foldLog(state.call.org_id, state.call.call_id, log);
  return {
    ...folded,
    partials: state.partials,
    speaking: state.speaking,
    drafts: state.drafts,
    secrets: state.secrets,
    stale: folded.stale.filter((seq) => state.stale.includes(seq) && !bySeq.has(seq)),
  };
}

/** Applies an ephemeral message. None of them touches the durable part. */
export function applyEphemeral(
  state: CallState,
  message: Exclude<CallMessage, { type: 'event' | 'call_opened' | 'call_released' }>,
): CallState {
  switch (message.type) {
    case 'partial': {
      const partial = message.partial;
      // A partial that comes late, after its final, must not bring the row back.
      if (state.utterances.some((u) => u.utterance_id === partial.utterance_id)) return state;
      return { ...state, partials: { ...state.partials, [partial.utterance_id]: partial } };
    }
    case 'speech':
      return { ...state, speaking: { ...state.speaking, [message.channel]: message.speaking } };
    case 'reply_delta': {
      // The words come before the event that makes them a card of their own; those that come after it are late.
      if (state.cards.some((c) => c.offer.suggestion_id === message.suggestion_id && c.replacedBy !== null))
        return state;
      const before = state.drafts[message.suggestion_id] ?? '';
      return { ...state, drafts: { ...state.drafts, [message.suggestion_id]: before + message.text } };
    }
    case 'reply_dropped':
      return { ...state, drafts: without(state.drafts, message.suggestion_id) };
    case 'secrets':
      return { ...state, secrets: { ...state.secrets, ...message.values } };
  }
}

/** Forgets what only a live connection can keep true; called when the connection is lost. */
export function dropEphemeral(state: CallState): CallState {
  return { ...state, partials: {}, speaking: {}, drafts: {} };
}

function foldView(state: CallState, envelope: EventEnvelope): void {
  const event = envelope.event;
  switch (event.type) {
    case 'call_started':
      state.metadata = { ...event.metadata };
      break;
    case 'utterance_final':
      state.utterances = insertByStart(state.utterances, event);
      if (event.utterance_id in state.partials) state.partials = without(state.partials, event.utterance_id);
      break;
    case 'intent_detected':
      state.intents = [...state.intents, { event, seq: envelope.seq }];
      break;
    case 'slot_filled':
      state.slots = { ...state.slots, [event.name]: event };
      break;
    case 'checklist_ticked': {
      const steps = state.ticks[event.checklist_id] ?? {};
      // The first utterance that ticked a step is the one to jump to.
      if (event.step_id in steps) break;
      state.ticks = { ...state.ticks, [event.checklist_id]: { ...steps, [event.step_id]: event.utterance_id } };
      break;
    }
    case 'compliance_alerted':
      state.alerts = [...state.alerts, { alert: event, seq: envelope.seq, at: envelope.at }];
      break;
    case 'mood_changed':
      state.moods = [...state.moods.filter((m) => m.customer_turn !== event.customer_turn), event].sort(
        (a, b) => a.customer_turn - b.customer_turn,
      );
      break;
    case 'dynamics_measured':
      state.dynamics = event;
      break;
    case 'next_action_proposed':
      state.nextAction = event.step_id === '' ? null : event;
      break;
    case 'whisper_sent':
      state.whispers = [...state.whispers, { text: event.text, seq: envelope.seq, at: envelope.at }];
      break;
    case 'wrap_up_submitted':
      state.submitted = event.versions;
      break;
    case 'wrap_up_reopened':
      state.submitted = null;
      break;
    case 'suggestion_offered': {
      const card: Card = {
        offer: event,
        seq: envelope.seq,
        at: envelope.at,
        feedback: [],
        replacedBy: null,
        gone: [],
        retired: false,
        outcome: null,
      };
      const retires = event.retires ?? [];
      const cards = state.cards
        .map((c) => (c.offer.suggestion_id === event.replaces ? { ...c, replacedBy: event.suggestion_id } : c))
        .map((c) => (retires.includes(c.offer.suggestion_id) ? { ...c, retired: true } : c));
      state.cards = [...cards, card];
      state.drafts = without(without(state.drafts, event.suggestion_id), event.replaces ?? '');
      break;
    }
    case 'suggestion_withdrawn': {
      const key = sourceKey(event);
      state.cards = state.cards.map((c) =>
        c.offer.suggestion_id === event.suggestion_id && !c.gone.includes(key) ? { ...c, gone: [...c.gone, key] } : c,
      );
      if (event.suggestion_id in state.drafts) state.drafts = without(state.drafts, event.suggestion_id);
      break;
    }
    case 'suggestion_feedback':
      state.cards = state.cards.map((c) =>
        c.offer.suggestion_id === event.suggestion_id && !c.feedback.includes(event.action)
          ? { ...c, feedback: [...c.feedback, event.action] }
          : c,
      );
      break;
    case 'reply_refused':
      state.drafts = without(state.drafts, event.suggestion_id);
      break;
    case 'suggestion_outcome':
      state.cards = state.cards.map((c) =>
        c.offer.suggestion_id === event.suggestion_id ? { ...c, outcome: event } : c,
      );
      break;
    case 'utterance_translated':
      state.translations = { ...state.translations, [event.utterance_id]: event.text ?? '' };
      break;
    case 'media_gap':
      state.gaps = [...state.gaps, event];
      break;
    case 'degraded':
      state.down =
        event.state === 'down' ? { ...state.down, [event.part]: event.reason } : without(state.down, event.part);
      break;
    case 'call_ended':
      state.partials = {};
      state.speaking = {};
      state.drafts = {};
      break;
    case 'artifact_ready':
      state.artifacts = { ...state.artifacts, [event.kind]: event.version };
      state.failed = without(state.failed, event.kind);
      break;
    case 'artifact_failed':
      state.failed = { ...state.failed, [event.kind]: event.reason };
      break;
    case 'redacted':
      state.stale = [...new Set([...state.stale, ...event.seqs])];
      break;
  }
}

function insertByStart(rows: readonly Utterance[], row: Utterance): Utterance[] {
  let at = rows.length;
  while (at > 0 && (rows[at - 1] as Utterance).start_ms > row.start_ms) at -= 1;
  return [...rows.slice(0, at), row, ...rows.slice(at)];
}

function without<T extends Record<string, unknown>>(record: T, key: string): T {
  if (!(key in record)) return record;
  const { [key]: _, ...rest } = record;
  return rest as T;
}
