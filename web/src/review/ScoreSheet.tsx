// The questions of a scorecard with the machine's answers and, beside them, the person's.
import { useEffect, useRef, useState } from 'preact/hooks';
import { clock, percent, score } from '../core/format.ts';
import type { Evidence, QaItem, QaScorecard } from '../gen/types.ts';
import { ANSWERS, type Answer, type AnswerIn } from '../net/qa.ts';
import { useApp } from '../ui/app.ts';
import { Icon } from '../ui/icons.tsx';
import { typing } from '../ui/keys.ts';
import { Rich } from '../ui/Rich.tsx';
import { type Answers, changed, handIn, inOrder, missing, scoreOf } from './sheet.ts';

interface Props {
  card: QaScorecard;
  blind: boolean;
  /** Questions that an appeal is about. */
  marked?: readonly string[];
  commentLabel: string;
  commentNeeded?: boolean;
  submitLabel: string;
  busy: boolean;
  onPlay: (evidence: Evidence) => void;
  onSubmit: (answers: AnswerIn[], comment: string) => void;
}

export function ScoreSheet(props: Props) {
  const { card, blind, marked = [] } = props;
  const app = useApp();
  const t = app.t.value;
  const [answers, setAnswers] = useState<Answers>({});
  const [comment, setComment] = useState('');
  const [tried, setTried] = useState(false);
  const list = useRef<HTMLOListElement>(null);
  const items = inOrder(card, blind, marked);
  const give = (name: string, answer: Answer): void =>
    setAnswers((before) => ({ ...before, [name]: { answer, reason: before[name]?.reason ?? '' } }));
  const lacking = missing(card, answers, blind);
  const noComment = props.commentNeeded === true && comment.trim() === '';
  const made = scoreOf(card, answers);
  const different = changed(card, answers);

  useEffect(() => {
    const onKey = (e: KeyboardEvent): void => {
      if (e.ctrlKey || e.metaKey || e.altKey || typing(e.target)) return;
      const rows = [...(list.current?.querySelectorAll<HTMLElement>('li.question') ?? [])];
      const at = rows.findIndex((row) => row.contains(document.activeElement));
      if (e.key === 'j' || e.key === 'k') {
        rows[Math.max(0, Math.min(rows.length - 1, at + (e.key === 'j' ? 1 : -1)))]?.focus();
        e.preventDefault();
        return;
      }
      const name = rows[at]?.dataset.itemId;
      const answer = ANSWERS[Number(e.key) - 1];
      if (name === undefined || answer === undefined) return;
      give(name, answer);
      e.preventDefault();
    };
    document.addEventListener('keydown', onKey);
    return () => document.removeEventListener('keydown', onKey);
  }, []);

  const submit = (): void => {
    setTried(true);
    if (lacking.length > 0) {
      list.current?.querySelector<HTMLElement>(`[data-item-id="${lacking[0]}"]`)?.focus();
      return;
    }
    if (!noComment) props.onSubmit(handIn(card, answers, blind), comment.trim());
  };

  return (
    <section class="score-sheet" aria-label={t('review.sheet')}>
      <p class="dim keys-hint">{t('review.keys')}</p>
      <ol class="questions" ref={list}>
        {items.map((item) => (
          <Question
            key={item.item_id}
            item={item}
            blind={blind}
            marked={marked.includes(item.item_id)}
            given={answers[item.item_id]?.answer}
            reason={answers[item.item_id]?.reason ?? ''}
            lacking={tried && lacking.includes(item.item_id)}
            onAnswer={(answer) => give(item.item_id, answer)}
            onReason={(reason) =>
              setAnswers((before) => ({
                ...before,
                [item.item_id]: { answer: before[item.item_id]?.answer ?? item.answer, reason },
              }))
            }
            onPlay={props.onPlay}
          />
        ))}
      </ol>
      <footer class="sheet-foot">
        <label>
          {props.commentLabel}
          <textarea
            rows={2}
            value={comment}
            data-testid="review-comment"
            onInput={(e) => setComment(e.currentTarget.value)}
          />
        </label>
        <div class="sheet-sum">
          {blind ? (
            <span class="dim">
              {t('review.answered', {
                n: card.items.length - missing(card, answers, true).length,
                total: card.items.length,
              })}
            </span>
          ) : (
            <>
              <span>
                {t('review.score.machine')} <strong class="num">{score(card.score)}</strong>
              </span>
              <span>
                {t('review.score.person')}{' '}
                <strong class={`num${made.fatal ? ' bad' : ''}`} data-testid="review-score" data-score={made.score}>
                  {score(made.score)}
                </strong>
              </span>
              <span class="dim">{t('review.changed', { n: different.length })}</span>
            </>
          )}
          <span class="grow" />
          {tried && (lacking.length > 0 || noComment) && (
            <span class="bad" role="alert">
              {t(lacking.length > 0 ? (blind ? 'review.need.answers' : 'review.need.reasons') : 'review.need.comment')}
            </span>
          )}
          <button type="button" class="primary" disabled={props.busy} data-testid="review-submit" onClick={submit}>
            {props.submitLabel}
          </button>
        </div>
      </footer>
    </section>
  );
}

interface QuestionProps {
  item: QaItem;
  blind: boolean;
  marked: boolean;
  given: Answer | undefined;
  reason: string;
  lacking: boolean;
  onAnswer: (answer: Answer) => void;
  onReason: (reason: string) => void;
  onPlay: (evidence: Evidence) => void;
}

function Question({ item, blind, marked, given, reason, lacking, onAnswer, onReason, onPlay }: QuestionProps) {
  const app = useApp();
  const t = app.t.value;
  const label = app.labels.value.rubric_items[item.item_id];
  const answer = given ?? (blind ? undefined : item.answer);
  const different = !blind && answer !== item.answer;
  return (
    <li
      class={`question${different ? ' different' : ''}${lacking ? ' lacking' : ''}`}
      tabIndex={-1}
      data-testid="question"
      data-item-id={item.item_id}
    >
      <p class="question-name">
        <strong>{label?.name ?? item.item_id}</strong>
        {item.fatal && <span class="chip static bad">{t('review.fatal')}</span>}
        {marked && <span class="chip static warn">{t('review.appealed')}</span>}
        <span class="dim num">{t('review.weight', { n: score(item.max_points) })}</span>
      </p>
      {label?.description && <p class="dim small-text">{label.description}</p>}
      <div class="sides">
        {!blind && (
          <div class="machine" data-testid="machine-answer" data-answer={item.answer}>
            <span class="dim">{t('review.machine')}</span>{' '}
            <span class={`answer ${item.answer}`}>{t(`qa.${item.answer}`)}</span>
            {item.answer !== 'na' && <span class="dim num"> {percent(item.confidence)}</span>}
            {item.reason !== '' && <span class="dim"> · {item.reason}</span>}
            {item.evidence.map((e) => (
              <button
                key={`${e.utterance_id}-${e.start_ms}`}
                type="button"
                class="quote evidence"
                data-testid="evidence"
                data-start-ms={e.start_ms}
                aria-label={`${t('qa.evidence.play', { from: clock(e.start_ms) })}：${e.quote}`}
                onClick={() => onPlay(e)}
              >
                <Icon name="play" size={11} />
                <span class="dim num">
                  {t(`channel.${e.channel}`)} {clock(e.start_ms)}
                </span>{' '}
                <Rich text={e.quote} />
              </button>
            ))}
          </div>
        )}
        <fieldset class="segmented person">
          <legend class="sr-only">
            {t('review.person')}：{label?.name ?? item.item_id}
          </legend>
          {ANSWERS.map((a, i) => (
            <button
              key={a}
              type="button"
              aria-pressed={answer === a}
              title={String(i + 1)}
              data-testid={`answer-${a}`}
              onClick={() => onAnswer(a)}
            >
              {t(`qa.${a}`)}
            </button>
          ))}
        </fieldset>
      </div>
      {different && (
        <label class="reason-field">
          <span class="sr-only">{t('review.reason')}</span>
          <input
            value={reason}
            placeholder={t('review.reason')}
            aria-invalid={lacking}
            data-testid="review-reason"
            onInput={(e) => onReason(e.currentTarget.value)}
          />
        </label>
      )}
    </li>
  );
}
