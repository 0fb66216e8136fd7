// The three things made after a call. Every statement leads back to the words it rests on.
import type { ComponentChildren } from 'preact';
import { useState } from 'preact/hooks';
import type { CallState } from '../core/callstate.ts';
import { clock, score } from '../core/format.ts';
import { TEXT_ARTIFACT_KINDS, type TextArtifactKind } from '../core/protocol.ts';
import type {
  Artifact,
  Evidence,
  QaItem,
  QaScorecard,
  Statement,
  Summary,
  TicketClassification,
} from '../gen/types.ts';
import { useApp } from '../ui/app.ts';
import { Icon } from '../ui/icons.tsx';
import { Rich } from '../ui/Rich.tsx';
import { Skeleton } from '../ui/Shell.tsx';
import { Versions } from './Form.tsx';
import { Refs } from './Refs.tsx';
import { TicketView } from './Ticket.tsx';

interface Props {
  state: CallState;
  artifacts: readonly Artifact[];
  /** Shows (or plays) an utterance. */
  onUtterance: (utteranceId: string) => void;
  /** Plays a span; without it evidence leads to the utterance. */
  onPlay?: (evidence: Evidence) => void;
  onRerun?: (kind: TextArtifactKind) => void;
  /** The agent's own form, in the place of summary and ticket as they are read. */
  form?: ComponentChildren;
}

export function Artifacts(props: Props) {
  const { state, artifacts } = props;
  const app = useApp();
  const t = app.t.value;
  const [kind, setKind] = useState<TextArtifactKind>('summary');
  const found = (k: TextArtifactKind): Artifact | undefined => artifacts.find((a) => a.kind === k);
  const artifact = found(kind);
  const move = (by: number): void => {
    const next = TEXT_ARTIFACT_KINDS[
      (TEXT_ARTIFACT_KINDS.indexOf(kind) + by + TEXT_ARTIFACT_KINDS.length) % TEXT_ARTIFACT_KINDS.length
    ] as TextArtifactKind;
    setKind(next);
    document.getElementById(`tab-${next}`)?.focus();
  };
  return (
    <section class="artifacts" aria-label={t('acw.title')} data-testid="artifacts">
      <div class="tabs" role="tablist" aria-label={t('acw.title')}>
        {TEXT_ARTIFACT_KINDS.map((k) => (
          <button
            key={k}
            id={`tab-${k}`}
            type="button"
            role="tab"
            aria-selected={k === kind}
            aria-controls="artifact-panel"
            tabIndex={k === kind ? 0 : -1}
            data-testid={`tab-${k}`}
            data-ready={String(found(k) !== undefined)}
            onClick={() => setKind(k)}
            onKeyDown={(e) => {
              if (e.key === 'ArrowRight') move(1);
              else if (e.key === 'ArrowLeft') move(-1);
            }}
          >
            {t(`artifact.${k}`)}
            <TabNote artifact={found(k)} failed={k in state.failed} />
          </button>
        ))}
      </div>
      <div id="artifact-panel" role="tabpanel" aria-labelledby={`tab-${kind}`} class="artifact-panel">
        {props.form !== undefined && kind !== 'qa' && !(kind in state.failed) ? (
          props.form
        ) : artifact !== undefined ? (
          <div data-testid="artifact" data-kind={kind} data-version={artifact.version}>
            {kind === 'summary' && <SummaryView body={artifact.body as Summary} {...props} />}
            {kind === 'ticket' && <TicketView body={artifact.body as TicketClassification} {...props} />}
            {kind === 'qa' && <QaView body={artifact.body as QaScorecard} {...props} />}
          </div>
        ) : kind in state.failed ? (
          <p class="empty" role="alert">
            {t('acw.failed', { reason: state.failed[kind] ?? '' })}
          </p>
        ) : (
          <div class="pending">
            <p class="dim">{t('acw.pending')}</p>
            <Skeleton lines={5} />
          </div>
        )}
        {artifact !== undefined && (kind === 'summary' || kind === 'ticket') && (
          <Versions key={kind} callId={state.call.call_id} kind={kind} newest={artifact.version} />
        )}
        {props.onRerun !== undefined && (artifact !== undefined || kind in state.failed) && (
          <p class="rerun">
            <button type="button" class="quiet small" data-testid="rerun" onClick={() => props.onRerun?.(kind)}>
              {t('acw.rerun')}
            </button>
          </p>
        )}
      </div>
    </section>
  );
}

function TabNote({ artifact, failed }: { artifact: Artifact | undefined; failed: boolean }) {
  if (artifact === undefined) return <span class={`dot ${failed ? 'bad' : 'wait'}`} aria-hidden="true" />;
  if (artifact.kind === 'qa') {
    const card = artifact.body as QaScorecard;
    return <span class={`badge num ${card.fatal ? 'bad' : ''}`}>{score(card.score)}</span>;
  }
  return <span class="dot ok" aria-hidden="true" />;
}

function SummaryView({ body, state, onUtterance }: Props & { body: Summary }) {
  const app = useApp();
  const t = app.t.value;
  const sections: [string, readonly Statement[]][] = [
    [t('summary.problems'), body.problems],
    [t('summary.actions'), body.actions],
    [t('summary.commitments'), body.commitments],
    [t('summary.follow_ups'), body.follow_ups],
  ];
  const plain = [
    body.overall,
    ...sections.flatMap(([name, list]) => (list.length === 0 ? [] : [`${name}：`, ...list.map((s) => `- ${s.text}`)])),
  ];
  return (
    <div class="summary">
      <p class="overall">
        <Rich text={body.overall} secrets={state.secrets} />
      </p>
      {sections.map(([name, list]) =>
        list.length === 0 ? null : (
          <div key={name} class="statements">
            <h4>{name}</h4>
            <ul>
              {list.map((s) => (
                <li key={s.text}>
                  <Rich text={s.text} secrets={state.secrets} /> <Duty statement={s} />{' '}
                  <Refs ids={s.utterance_ids} state={state} onUtterance={onUtterance} />
                </li>
              ))}
            </ul>
          </div>
        ),
      )}
      <footer>
        <span class={body.method === 'llm' ? 'generated' : 'dim'}>{t(`summary.method.${body.method}`)}</span>
        <button type="button" class="small" data-testid="copy-summary" onClick={() => void app.copy(plain.join('\n'))}>
          <Icon name="copy" size={14} /> {t('common.copy')}
        </button>
      </footer>
    </div>
  );
}

/** Who is to do it and until when, and whether it was told as done: where the words say so. */
function Duty({ statement }: { statement: Statement }) {
  const t = useApp().t.value;
  const { owner, due, polarity } = statement;
  return (
    <>
      {owner !== '' && (
        <span class="chip static" data-testid="statement-owner">
          {t(`summary.owner.${owner}`)}
        </span>
      )}
      {due !== '' && (
        <span class="chip static" data-testid="statement-due">
          {t('summary.due', { due })}
        </span>
      )}
      {polarity === 'not_done' && <span class="chip static">{t('summary.not_done')}</span>}
    </>
  );
}

const ORDER: Record<QaItem['answer'], number> = { fail: 0, not_scorable: 1, pass: 2, na: 3 };

function QaView({ body, onUtterance, onPlay }: Props & { body: QaScorecard }) {
  const app = useApp();
  const t = app.t.value;
  const labels = app.labels.value;
  const count = (answer: QaItem['answer']): number => body.items.filter((i) => i.answer === answer).length;
  const items = body.items
    .map((item, i) => ({ item, i }))
    .sort(
      (a, b) =>
        Number(b.item.fatal && b.item.answer === 'fail') - Number(a.item.fatal && a.item.answer === 'fail') ||
        ORDER[a.item.answer] - ORDER[b.item.answer] ||
        a.i - b.i,
    )
    .map(({ item }) => item);
  const main = items.filter((i) => i.answer !== 'na');
  const na = items.filter((i) => i.answer === 'na');
  return (
    <div class="qa">
      <div class="qa-head">
        <p
          class={`score${body.fatal || body.score < 60 ? ' bad' : body.score < 85 ? ' mid' : ''}`}
          data-testid="qa-score"
          data-score={body.score}
        >
          <strong class="num">{score(body.score)}</strong>
          <span class="dim">{t('qa.outof')}</span>
        </p>
        <p class="tally">
          <span class="bad">{t('qa.failed.count', { n: count('fail') })}</span>
          <span>{t('qa.passed.count', { n: count('pass') })}</span>
          <span class="dim">{t('qa.na.count', { n: count('na') })}</span>
        </p>
        {body.fatal && (
          <p class="fatal" role="note">
            <Icon name="alert" size={14} /> {t('qa.fatal')}
          </p>
        )}
      </div>
      <ul class="qa-items">
        {main.map((item) => (
          <QaRow
            key={item.item_id}
            item={item}
            onUtterance={onUtterance}
            {...(onPlay === undefined ? {} : { onPlay })}
          />
        ))}
      </ul>
      {na.length > 0 && (
        <details>
          <summary>{t('qa.na.count', { n: na.length })}</summary>
          <ul class="na">
            {na.map((item) => (
              <li key={item.item_id} data-testid="qa-item" data-item-id={item.item_id} data-answer="na">
                {labels.rubric_items[item.item_id]?.name ?? item.item_id}
              </li>
            ))}
          </ul>
        </details>
      )}
      <footer>
        <span class="dim">{t('qa.rubric', { version: body.rubric_version })}</span>
      </footer>
    </div>
  );
}

function QaRow({
  item,
  onUtterance,
  onPlay,
}: {
  item: QaItem;
  onUtterance: (id: string) => void;
  onPlay?: (e: Evidence) => void;
}) {
  const app = useApp();
  const t = app.t.value;
  const label = app.labels.value.rubric_items[item.item_id];
  const section = app.labels.value.rubric_sections[item.section] ?? item.section;
  return (
    <li class={`qa-item ${item.answer}`} data-testid="qa-item" data-item-id={item.item_id} data-answer={item.answer}>
      <div class="qa-line">
        <span class="verdict">
          <Icon name={item.answer === 'pass' ? 'check' : item.answer === 'fail' ? 'x' : 'info'} size={14} />
          <span class="sr-only">{t(`qa.${item.answer}`)}</span>
        </span>
        <span class="qa-name" title={label?.description}>
          {label?.name ?? item.item_id} <span class="dim section">{section}</span>
        </span>
        <span class="num points">{t('qa.points', { points: score(item.points), max: score(item.max_points) })}</span>
      </div>
      {item.reason !== '' && item.answer !== 'pass' && <p class="reason">{item.reason}</p>}
      {item.evidence.map((e) => (
        <button
          key={`${e.utterance_id}-${e.start_ms}`}
          type="button"
          class="quote evidence"
          data-testid="evidence"
          data-utterance-id={e.utterance_id}
          data-start-ms={e.start_ms}
          data-end-ms={e.end_ms}
          aria-label={`${t('qa.evidence.play', { from: clock(e.start_ms) })}：${e.quote}`}
          onClick={() => (onPlay === undefined ? onUtterance(e.utterance_id) : onPlay(e))}
        >
          {onPlay !== undefined && <Icon name="play" size={11} />}
          <span class="dim num">
            {t(`channel.${e.channel}`)} {clock(e.start_ms)}
          </span>{' '}
          <Rich text={e.quote} />
        </button>
      ))}
    </li>
  );
}
