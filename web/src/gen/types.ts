// Generated from schema.json by scripts/gen-types.mjs. Do not edit.

export interface PangtingFeed {
  [k: string]: unknown;
}
/**
 * One version of one article in one language. ``answer`` is the approved sentence an agent may say verbatim.
 */
export interface Article {
  answer: string;
  article_id: string;
  audience: 'customer' | 'agent';
  body: string;
  channels: string[];
  domain: string;
  intent: string;
  kind: 'faq' | 'article';
  language: string;
  owner: string;
  products: string[];
  questions: string[];
  source: string;
  state: 'draft' | 'in_review' | 'published' | 'expired' | 'retired';
  tags: string[];
  title: string;
  valid_from: string | null;
  valid_to: string | null;
  version: number;
}
/**
 * A line of the list of articles. ``standing``: of what is or was published; ``open``: what is being worked on.
 */
export interface ArticleHead {
  article_id: string;
  audience: 'customer' | 'agent';
  authors: string[];
  channels: string[];
  has_origin: boolean;
  kind: string;
  language: string;
  open: '' | 'draft' | 'in_review';
  owner: string;
  products: string[];
  standing: 'draft' | 'in_review' | 'scheduled' | 'in_force' | 'superseded' | 'expired' | 'retired';
  title: string;
  updated_at: string | null;
  valid_from: string | null;
  valid_to: string | null;
  version: number;
}
/**
 * A page of the list; ``counts`` per standing or open state, of everything that the other filters let through.
 */
export interface ArticlePage {
  counts: {
    [k: string]: number;
  };
  items: ArticleHead[];
  total: number;
}
/**
 * One article over a number of days. ``reasons``: why it was rejected, counted; ``by_day``: offered per day.
 */
export interface ArticleUse {
  article_id: string;
  by_day: {
    [k: string]: number;
  };
  counts: {
    [k: string]: number;
  };
  language: string;
  last: string | null;
  reasons: {
    [k: string]: number;
  };
  title: string;
}
/**
 * A version with the record of its making. ``revision`` grows with every change; ``authors``: ids of all who wrote in it.
 */
export interface ArticleVersion {
  article: Article;
  authors: string[];
  base_version: number;
  created_at: string | null;
  decided_at: string | null;
  decided_by: string;
  origin: Origin | null;
  reason: string;
  revision: number;
  submitted_by: string;
  updated_at: string | null;
}
/**
 * Where a draft comes from: a place in a document or utterances of a call, shown beside it. ``quote`` is masked.
 */
export interface Origin {
  end: number;
  kind: 'document' | 'call' | 'gap';
  quote: string;
  section: string;
  source: string;
  start: number;
  utterances: string[];
}
/**
 * One version of one artifact of a call.
 */
export interface Artifact {
  body: Summary | TicketClassification | QaScorecard | MoodReport | Keywords | ListeningCopy;
  kind: 'summary' | 'ticket' | 'qa' | 'mood' | 'keywords' | 'recording';
  version: number;
}
/**
 * ``method``: ``extractive`` (no model) or ``llm``; generated text is labelled on screen.
 */
export interface Summary {
  actions: Statement[];
  commitments: Statement[];
  follow_ups: Statement[];
  language: string;
  method: 'extractive' | 'llm';
  model: string;
  overall: string;
  problems: Statement[];
}
/**
 * One sentence of a summary with the utterances it rests on.
 *
 * ``owner`` and ``due`` (as it was said, such as 三个工作日): of commitments and follow-ups. ``polarity``: whether an act is told as done.
 * Each is empty where the words do not say.
 */
export interface Statement {
  due: string;
  owner: 'bank' | 'customer' | '';
  polarity: 'done' | 'not_done' | '';
  text: string;
  utterance_ids: string[];
}
/**
 * Ids of the two-level taxonomy, with alternatives, the evidence and suggested measures.
 *
 * ``confidence`` is that of both levels together, ``level1_confidence`` that of the branch alone. ``cause``: id of the taxonomy's root
 * cause, empty when the words do not tell it.
 */
export interface TicketClassification {
  alternatives: CategoryScore[];
  cause: string;
  cause_evidence: string[];
  confidence: number;
  evidence: string[];
  level1: string;
  level1_confidence: number;
  level2: string;
  measures: string[];
  pack_version: number;
  slots: TicketSlot[];
  taxonomy_version: string;
}
/**
 * A ticket category with its confidence in [0, 1].
 */
export interface CategoryScore {
  confidence: number;
  level1: string;
  level2: string;
}
/**
 * A fact of the ticket, such as an amount. ``value`` is normalised, or a token of personal information, never its value.
 */
export interface TicketSlot {
  name: string;
  utterance_id: string;
  value: string;
}
/**
 * ``score`` in [0, 100]: points over applicable maximum; 0 when a fatal item failed.
 */
export interface QaScorecard {
  fatal: boolean;
  items: QaItem[];
  pack_version: number;
  rubric_version: string;
  score: number;
}
/**
 * One answered question of the rubric. ``not_scorable``: the recognition was too poor; ``deduction``: off the score on a fail.
 */
export interface QaItem {
  answer: 'pass' | 'fail' | 'na' | 'not_scorable';
  confidence: number;
  deduction: number;
  evidence: Evidence[];
  fatal: boolean;
  item_id: string;
  max_points: number;
  points: number;
  reason: string;
  section: string;
}
/**
 * The words a score rests on, and where to hear them.
 */
export interface Evidence {
  channel: 'customer' | 'agent' | 'mixed';
  confidence: number;
  end_ms: number;
  quote: string;
  start_ms: number;
  utterance_id: string;
}
/**
 * The mood of a call, an estimate for who reads it: turns that are not calm, or that thank, and what the times tell.
 *
 * ``trend``: the tension of the customer's second half of the call against the first. ``complaint_risk`` in [0, 1].
 * Silence: nobody is heard; ``longest_silence_at_ms`` is where the longest one begins. Overtalk: both are.
 */
export interface MoodReport {
  complaint_risk: number;
  longest_silence_at_ms: number;
  longest_silence_ms: number;
  overtalk_ms: number;
  pace: SpeakerPace[];
  points: MoodPoint[];
  risk_evidence: string[];
  silence_ms: number;
  trend: 'rising' | 'steady' | 'easing';
}
/**
 * How much and how fast a channel spoke: ms with speech in it, and characters (Mandarin) or words (English) a minute of that.
 */
export interface SpeakerPace {
  channel: 'customer' | 'agent' | 'mixed';
  speech_ms: number;
  units_per_minute: number;
}
/**
 * How a customer's turn came across. ``heard``: by the live loop (words and voice), or afterwards by its words alone.
 */
export interface MoodPoint {
  at_ms: number;
  confidence: number;
  heard: 'live' | 'words';
  mood: 'calm' | 'confused' | 'anxious' | 'angry';
  utterance_id: string;
}
/**
 * The terms of a call, the most telling first.
 */
export interface Keywords {
  language: string;
  terms: Keyword[];
}
/**
 * A term that tells what the call was about. ``weight`` in (0, 1], the first of a call has 1; ``known``: a term of the bank's packs.
 */
export interface Keyword {
  count: number;
  known: boolean;
  term: string;
  utterance_ids: string[];
  weight: number;
}
/**
 * The two FLAC files joined from a call's recording: the original, and the one in which ``hidden`` is a low tone.
 *
 * Sample n of either is media time n / ``sample_rate_hz``. ``channels``: from left to right. ``complete`` is False when part of the
 * recording was still missing when it was made. Both files lie in blocks of ``block_bytes`` in ``folder`` of the call's media.
 */
export interface ListeningCopy {
  block_bytes: number;
  channels: ('customer' | 'agent' | 'mixed')[];
  complete: boolean;
  duration_ms: number;
  folder: string;
  hidden: HiddenSpan[];
  masked_bytes: number;
  original_bytes: number;
  sample_rate_hz: number;
  through_seq: number;
}
/**
 * Media time [start_ms, end_ms) in which personal information was, or may have been, said. Says when, never what.
 *
 * ``channel``: the leg that is hidden; None: every leg, since a line echoes the other one.
 */
export interface HiddenSpan {
  channel: ('customer' | 'agent' | 'mixed') | null;
  end_ms: number;
  start_ms: number;
}
/**
 * After-call work gave up on an artifact after its retries; it can be run again.
 */
export interface ArtifactFailed {
  kind: 'summary' | 'ticket' | 'qa' | 'mood' | 'keywords' | 'recording';
  reason: string;
  type: 'artifact_failed';
}
/**
 * The artifact itself is in the store under (call, kind, version).
 */
export interface ArtifactReady {
  kind: 'summary' | 'ticket' | 'qa' | 'mood' | 'keywords' | 'recording';
  type: 'artifact_ready';
  version: number;
}
/**
 * Where the time of one final went, in ms. ``after_speech_ms``: from the end of speech to the final.
 */
export interface AsrTimings {
  after_speech_ms: number;
  batch_size: number;
  decode_ms: number;
  endpoint_ms: number;
  queue_ms: number;
  window_ms: number;
}
/**
 * What lists and pages need to know of a call; the projection row has the same fields.
 */
export interface Call {
  agent_id: string | null;
  alerts: number;
  ani: string;
  artifacts: string[];
  call_id: string;
  customer_id: string;
  direction: 'inbound' | 'outbound';
  dnis: string;
  duration_ms: number;
  end_reason: string;
  external_id: string;
  held: boolean;
  intents: string[];
  language: string;
  last_seq: number;
  org_id: string;
  phase: 'new' | 'live' | 'ended';
  protocol: string;
  skill: string;
  started_at: string | null;
  suggestions: number;
  suggestions_used: number;
  utterances: number;
}
export interface CallEnded {
  duration_ms: number;
  reason: 'hangup' | 'peer_closed' | 'error' | 'interrupted' | 'duplicate';
  type: 'call_ended';
}
/**
 * The agent put the customer on hold at this media time. The media clock runs on.
 */
export interface CallHeld {
  at_ms: number;
  type: 'call_held';
}
/**
 * The hold is over.
 */
export interface CallResumed {
  at_ms: number;
  type: 'call_resumed';
}
export interface CallStarted {
  agent_id: string | null;
  ani: string;
  customer_id: string;
  direction: 'inbound' | 'outbound';
  dnis: string;
  external_id: string;
  integration: string;
  language: string;
  legs: LegFormat[];
  metadata: {
    [k: string]: string;
  };
  protocol: string;
  skill: string;
  started_at: string;
  type: 'call_started';
}
/**
 * How one leg of a call arrives on the wire (mono; multi-channel streams are split by the parser).
 */
export interface LegFormat {
  channel: 'customer' | 'agent' | 'mixed';
  encoding: 'pcm_s16le' | 'pcmu' | 'pcma';
  sample_rate_hz: number;
}
/**
 * The call belongs to ``agent_id`` from here on: to that agent's screen, and to nobody else's vault.
 */
export interface CallTransferred {
  agent_id: string;
  at_ms: number;
  from_agent_id: string | null;
  reason: string;
  type: 'call_transferred';
}
/**
 * ``how`` the step was recognised: by its wording, by the sound of it (misheard characters), or by its meaning.
 */
export interface ChecklistTicked {
  checklist_id: string;
  confidence: number;
  how: 'wording' | 'sound' | 'meaning';
  step_id: string;
  type: 'checklist_ticked';
  utterance_id: string;
}
/**
 * One product that the customer may mean, and what the facts say of it.
 */
export interface Choice {
  entity_id: string;
  facts: Fact[];
  name: string;
}
/**
 * An edge: ``subject`` (an entity's id) –``relation``→ ``value`` (as the text has it).
 *
 * ``topic``: what the value is of (年费, 补卡 …), as text; ``topics``: the same by the names of ``kb/graph.yaml``, and ``context``
 * those that only the article's title names. ``confidence`` in [0, 1].
 */
export interface Fact {
  confidence: number;
  context: string[];
  key: string;
  language: string;
  relation: 'fee' | 'rate' | 'limit' | 'time' | 'channel' | 'document' | 'condition';
  source: Source;
  state: 'found' | 'confirmed' | 'rejected' | 'added' | 'lost';
  subject: string;
  topic: string;
  topics: string[];
  value: string;
}
/**
 * ``article[field][start:end]`` is ``quote``: the statement that a fact was read from.
 */
export interface Source {
  article_id: string;
  end: number;
  field: 'body' | 'answer';
  quote: string;
  section: string;
  start: number;
  title: string;
  valid_from: string | null;
  valid_to: string | null;
  version: number;
}
/**
 * A source pinned to article version and passage span (of the body).
 */
export interface Citation {
  article_id: string;
  end: number;
  passage_id: string;
  quote: string;
  section: string;
  start: number;
  title: string;
  valid_from: string | null;
  valid_to: string | null;
  version: number;
}
/**
 * ``text[start:end]`` of a generated card rests on these of its ``citations``, from 0; none for a courtesy.
 */
export interface CitedSentence {
  citations: number[];
  end: number;
  start: number;
}
/**
 * A rule was broken, or a signal heard. ``utterance_id``: the newest of ``evidence``; for silence, the utterance before it.
 */
export interface ComplianceAlerted {
  at_ms: number;
  channel: 'customer' | 'agent' | 'mixed';
  evidence: string[];
  kind: string;
  pack_version: number;
  quote: string;
  rule_id: string;
  severity: 'info' | 'warn' | 'critical';
  type: 'compliance_alerted';
  utterance_id: string;
}
/**
 * A term the recogniser's output was corrected to; the original is kept. ``start``/``end`` index the corrected text.
 */
export interface Correction {
  corrected: string;
  end: number;
  original: string;
  reason: 'lexicon' | 'itn' | 'person';
  start: number;
}
/**
 * A part of the copilot stopped or started helping during this call; the rest goes on.
 */
export interface Degraded {
  part: 'recognition' | 'retrieval' | 'generation' | 'recording';
  reason: string;
  state: 'down' | 'up';
  type: 'degraded';
}
/**
 * How the talk runs, from the beginning of the call to ``at_ms``; replaces the one before.
 *
 * Rates are characters (zh) or words (en) per minute of the channel's own speech in the last minute, None while too little was said.
 */
export interface DynamicsMeasured {
  agent_interruptions: number;
  agent_rate: number | null;
  agent_speech_ms: number;
  at_ms: number;
  customer_interruptions: number;
  customer_rate: number | null;
  customer_speech_ms: number;
  longest_silence_ms: number;
  overtalk_ms: number;
  silence_ms: number;
  type: 'dynamics_measured';
}
/**
 * A product in one language. ``parent``: the id of what it is a kind of; ``merged``: ids of those that were merged into it.
 */
export interface Entity {
  aliases: string[];
  entity_id: string;
  merged: string[];
  name: string;
  parent: string;
  renamed: boolean;
}
/**
 * A stored event. ``seq`` counts from 1 within the call without holes; ``epoch`` is the ownership under which it was written.
 */
export interface EventEnvelope {
  at: string;
  call_id: string;
  epoch: number;
  event:
    | CallStarted
    | UtteranceFinal
    | IntentDetected
    | SlotFilled
    | ChecklistTicked
    | NextActionProposed
    | ComplianceAlerted
    | MoodChanged
    | DynamicsMeasured
    | SuggestionOffered
    | SuggestionWithdrawn
    | ReplyRefused
    | SuggestionOutcome
    | SuggestionFeedback
    | UtteranceTranslated
    | MediaGapRecorded
    | Degraded
    | CallHeld
    | CallResumed
    | CallTransferred
    | CallEnded
    | ArtifactReady
    | ArtifactFailed
    | WhisperSent
    | WrapUpSubmitted
    | WrapUpReopened
    | Redacted;
  org_id: string;
  schema_version: number;
  seq: number;
}
/**
 * A final, masked. ``source``: heard live, or found in the recording of a call that was cut off.
 */
export interface UtteranceFinal {
  channel: 'customer' | 'agent' | 'mixed';
  confidence: number;
  corrections: Correction[];
  end_ms: number;
  language: string;
  source: 'live' | 'recording';
  start_ms: number;
  text: string;
  timings: AsrTimings;
  type: 'utterance_final';
  utterance_id: string;
  words: Word[];
}
/**
 * One word (en) or character (zh). Times in ms of media time; ``confidence`` in [0, 1].
 */
export interface Word {
  confidence: number;
  end_ms: number;
  start_ms: number;
  text: string;
}
/**
 * A need that a turn states or goes on with. A turn with several needs has several of these.
 *
 * ``refers_to``: the earlier utterance that a short turn was understood by ("那要多久？"), if it was.
 */
export interface IntentDetected {
  alternatives: IntentScore[];
  confidence: number;
  intent: string;
  refers_to: string | null;
  type: 'intent_detected';
  utterance_id: string;
  why: IntentReason[];
}
/**
 * An alternative with its score in [0, 1].
 */
export interface IntentScore {
  confidence: number;
  intent: string;
}
/**
 * One piece of evidence: the nearest exemplar, the rule that matched, the model's score, or the earlier turn it was read with.
 */
export interface IntentReason {
  detail: string;
  kind: 'exemplar' | 'rule' | 'model' | 'context';
  score: number;
}
/**
 * ``value`` is normalised (``3000.00``, ``2026-11-22``) or a PII token, never a PII value.
 */
export interface SlotFilled {
  name: string;
  spoken: string;
  type: 'slot_filled';
  utterance_id: string;
  value: string;
}
/**
 * The step of the open procedures to do next; takes the place of the one before. ``step_id`` "": nothing is left to do.
 *
 * ``script``: what the agent may say, with the slots of this call filled in; personal ones are tokens.
 */
export interface NextActionProposed {
  at_ms: number;
  checklist_id: string;
  missing: string[];
  script: string;
  step_id: string;
  type: 'next_action_proposed';
  utterance_id: string;
}
/**
 * How the customer's turn comes across: an estimate for the agent, shown with its confidence. One of a turn replaces its earlier one.
 *
 * ``complaint_risk`` in [0, 1]: how likely the customer goes on to complain formally. ``voice`` is None where no audio was measured.
 */
export interface MoodChanged {
  at_ms: number;
  complaint_risk: number;
  confidence: number;
  customer_turn: number;
  mood: 'calm' | 'confused' | 'anxious' | 'angry';
  scores: MoodScore[];
  trend: 'rising' | 'steady' | 'easing';
  type: 'mood_changed';
  utterance_id: string;
  voice: VoiceChange | null;
  why: MoodReason[];
}
/**
 * A mood with its calibrated probability; those of one turn add up to 1.
 */
export interface MoodScore {
  confidence: number;
  mood: 'calm' | 'confused' | 'anxious' | 'angry';
}
/**
 * A turn's voice against the same customer's first turns of this call: differences only, from which no voice can be known again.
 *
 * ``energy_db``: level in dB; ``pitch_semitones``: median pitch; ``rate``: syllables per second, as a ratio (1: unchanged).
 */
export interface VoiceChange {
  energy_db: number;
  pitch_semitones: number;
  rate: number;
}
/**
 * ``words``: a cue of the pack that was heard. ``exemplar``: the nearest labelled sentence of the pack. ``voice``: a measure of the
 * voice against the customer's own beginning of the call. ``history``: earlier turns of this call.
 */
export interface MoodReason {
  detail: string;
  kind: 'words' | 'exemplar' | 'voice' | 'history';
  score: number;
}
/**
 * See ``copilot.domain.suggestions.Suggestion``, whose fields these are.
 */
export interface SuggestionOffered {
  at_ms: number;
  citations: Citation[];
  confidence: number;
  generated: boolean;
  intent: string;
  kind: 'faq' | 'article' | 'reply' | 'alert' | 'action' | 'nothing';
  model: string;
  options: SuggestionOption[];
  replaces: string | null;
  retires: string[];
  sentences: CitedSentence[];
  stages: Stage[];
  suggestion_id: string;
  text: string;
  title: string;
  total_ms: number;
  trigger: string;
  type: 'suggestion_offered';
}
/**
 * A second or third answer, shown collapsed.
 */
export interface SuggestionOption {
  citation: Citation;
  confidence: number;
  text: string;
  title: string;
}
/**
 * One stage of the way from speech end to screen. Names: ``asr_endpoint asr_queue asr_decode mask store wait intent retrieve``,
 * and of a generated reply ``llm_first llm``. A card whose look-up was done while the customer still spoke has ``ahead`` for both.
 */
export interface Stage {
  ms: number;
  name: string;
}
/**
 * A source of a card is no longer in force: what the card says from this version must not be said any more.
 *
 * ``superseded``: another version took its place; ``ended``: it was retired or its last day has passed.
 */
export interface SuggestionWithdrawn {
  article_id: string;
  reason: 'superseded' | 'ended';
  suggestion_id: string;
  type: 'suggestion_withdrawn';
  version: number;
}
/**
 * A model's reply beside this card was not shown, because it did not pass the guard. Says why, never what.
 */
export interface ReplyRefused {
  model: string;
  reason: string;
  suggestion_id: string;
  type: 'reply_refused';
}
/**
 * Whether the agent said what the card offered, told from the agent's own speech: an estimate with its confidence.
 *
 * ``coverage`` in [0, 1]: how much of the card was said; ``utterance_ids``: where. A later one of the same card replaces it.
 */
export interface SuggestionOutcome {
  at_ms: number;
  confidence: number;
  coverage: number;
  outcome: 'said' | 'partly' | 'not_said';
  suggestion_id: string;
  type: 'suggestion_outcome';
  utterance_ids: string[];
}
export interface SuggestionFeedback {
  action: 'used' | 'copied' | 'edited' | 'rejected';
  reason: string;
  suggestion_id: string;
  text: string;
  type: 'suggestion_feedback';
  user_id: string;
}
/**
 * A line of the other side in the agent's language, by a model; tokens of personal data stand in it as in the line.
 */
export interface UtteranceTranslated {
  language: string;
  model: string;
  text: string;
  type: 'utterance_translated';
  utterance_id: string;
}
export interface MediaGapRecorded {
  channel: 'customer' | 'agent' | 'mixed';
  duration_ms: number;
  reason: string;
  start_ms: number;
  type: 'media_gap';
}
/**
 * A supervisor's word to the agent of a live call: shown in the agent's sidebar, never heard by the customer.
 */
export interface WhisperSent {
  text: string;
  type: 'whisper_sent';
  user_id: string;
  whisper_id: string;
}
/**
 * The agent handed in the after-call form. ``versions``: the version of each artifact that was handed in.
 */
export interface WrapUpSubmitted {
  type: 'wrap_up_submitted';
  user_id: string;
  versions: {
    [k: string]: number;
  };
}
/**
 * The agent took the after-call form back; what was handed in stays as versions.
 */
export interface WrapUpReopened {
  type: 'wrap_up_reopened';
  user_id: string;
}
/**
 * The contents of these events were rewritten because PII was found late.
 */
export interface Redacted {
  seqs: number[];
  type: 'redacted';
}
/**
 * A field that changed; ``pieces`` joined without the removed ones are the new text, without the added ones the old.
 */
export interface FieldDiff {
  field: string;
  pieces: Piece[];
}
export interface Piece {
  op: 'same' | 'removed' | 'added';
  text: string;
}
/**
 * ``field``: title, answer, body or questions.N, whose ``[start:end]`` is ``quote`` (0, 0: the field as a whole).
 *
 * ``facts`` are what the sentence about it needs: a rule's name, the other article, what it says.
 */
export interface Finding {
  code:
    | 'no_title'
    | 'no_text'
    | 'no_source'
    | 'no_owner'
    | 'no_question'
    | 'long_title'
    | 'long_answer'
    | 'too_long'
    | 'dates_reversed'
    | 'already_over'
    | 'pii'
    | 'pii_possible'
    | 'forbidden'
    | 'asks_secret'
    | 'forbidden_possible'
    | 'contradiction'
    | 'duplicate';
  end: number;
  facts: {
    [k: string]: string;
  };
  field: string;
  quote: string;
  start: number;
}
/**
 * Questions alike that found no answer (``nothing``), or one that agents rejected (``rejected``). ``examples`` are masked turns.
 */
export interface Gap {
  call_ids: string[];
  count: number;
  examples: string[];
  first: string;
  intent: string;
  key: string;
  language: string;
  last: string;
  nothing: number;
  rejected: number;
}
export interface GapReport {
  calls: number;
  capped: boolean;
  days: number;
  gaps: Gap[];
}
/**
 * What the graph adds to a question: ``ask`` which of the choices is meant, or ``compare`` them side by side.
 */
export interface Guidance {
  choices: Choice[];
  kind: 'ask' | 'compare';
  relation: 'fee' | 'rate' | 'limit' | 'time' | 'channel' | 'document' | 'condition';
}
/**
 * One article found, by its best passage. ``scores`` per ranker explain ``score``.
 *
 * ``confidence`` in [0, 1] is that it answers; ``fits`` is false below the bar of this knowledge base, and then it must not be offered.
 */
export interface Hit {
  article: Article;
  confidence: number;
  fits: boolean;
  passage: Passage;
  score: number;
  scores: {
    [k: string]: number;
  };
}
/**
 * A retrievable piece of an article. ``start``/``end`` index the article's body (0, 0 for title and questions).
 */
export interface Passage {
  article_id: string;
  end: number;
  kind: 'question' | 'answer' | 'body';
  language: string;
  passage_id: string;
  section: string;
  start: number;
  text: string;
  version: number;
}
/**
 * The open utterance so far. ``stable`` is committed and only ever grows; ``unstable`` may change. Replaces the previous partial.
 */
export interface TranscriptPartial {
  channel: 'customer' | 'agent' | 'mixed';
  end_ms: number;
  language: string;
  stable: string;
  start_ms: number;
  unstable: string;
  utterance_id: string;
}
/**
 * ``calls`` looked at, the newest of ``days`` days; ``capped``: there were more.
 */
export interface UseReport {
  articles: ArticleUse[];
  by_day: {
    [k: string]: {
      [k: string]: number;
    };
  };
  calls: number;
  capped: boolean;
  days: number;
}
