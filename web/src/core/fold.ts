// A call is a fold over its events: the same rules as copilot.domain.calls.apply (the shared golden logs keep them equal).
import type { Call, EventEnvelope } from '../gen/types.ts';

export const UNKNOWN_INTENT = 'unknown';
const USED = new Set(['used', 'copied', 'edited']);

export function emptyCall(orgId: string, callId: string): Call {
  return {
    org_id: orgId,
    call_id: callId,
    last_seq: 0,
    phase: 'new',
    external_id: '',
    protocol: '',
    language: '',
    agent_id: null,
    direction: 'inbound',
    ani: '',
    dnis: '',
    customer_id: '',
    skill: '',
    held: false,
    started_at: null,
    duration_ms: 0,
    end_reason: '',
    utterances: 0,
    suggestions: 0,
    suggestions_used: 0,
    alerts: 0,
    intents: [],
    artifacts: [],
  };
}

/** The call after one more event. The caller has checked that ``envelope.seq`` is ``call.last_seq + 1``. */
export function applyToCall(before: Call, envelope: EventEnvelope): Call {
  const call = { ...before, last_seq: envelope.seq };
  const event = envelope.event;
  switch (event.type) {
    case 'call_started':
      call.phase = 'live';
      call.external_id = event.external_id;
      call.protocol = event.protocol;
      call.language = event.language;
      call.agent_id = event.agent_id;
      call.direction = event.direction;
      call.ani = event.ani;
      call.dnis = event.dnis;
      call.customer_id = event.customer_id;
      call.skill = event.skill;
      call.started_at = event.started_at;
      break;
    case 'utterance_final':
      call.utterances += 1;
      call.duration_ms = Math.max(call.duration_ms, event.end_ms);
      break;
    case 'intent_detected':
      if (event.intent !== UNKNOWN_INTENT && !call.intents.includes(event.intent)) {
        call.intents = [...call.intents, event.intent];
      }
      break;
    case 'suggestion_offered':
      // A card whose generated text replaces its approved answer is still one suggestion.
      if (event.kind !== 'nothing' && event.replaces === null) call.suggestions += 1;
      break;
    case 'suggestion_feedback':
      if (USED.has(event.action)) call.suggestions_used += 1;
      break;
    case 'compliance_alerted':
      call.alerts += 1;
      break;
    case 'call_held':
      call.held = call.phase !== 'ended';
      break;
    case 'call_resumed':
      call.held = false;
      break;
    case 'call_transferred':
      call.agent_id = event.agent_id;
      break;
    case 'call_ended':
      call.phase = 'ended';
      call.held = false;
      call.end_reason = event.reason;
      call.duration_ms = Math.max(call.duration_ms, event.duration_ms);
      break;
    case 'artifact_ready':
      if (!call.artifacts.includes(event.kind)) call.artifacts = [...call.artifacts, event.kind];
      break;
  }
  return call;
}
