// A person's answers beside the machine's. Pure.
import type { QaItem, QaScorecard } from '../gen/types.ts';
import type { Answer, AnswerIn } from '../net/qa.ts';

export interface Given {
  answer: Answer;
  reason: string;
}
export type Answers = Readonly<Record<string, Given>>;

/** The score that these answers make; the rule stands in docs/reference/qa-rubric.md. */
export function scoreOf(card: QaScorecard, answers: Answers): { score: number; fatal: boolean } {
  const answer = (item: QaItem): Answer => answers[item.item_id]?.answer ?? item.answer;
  const counted = card.items.filter((i) => answer(i) === 'pass' || answer(i) === 'fail');
  const reachable = counted.reduce((sum, i) => sum + i.max_points, 0);
  const points = counted.reduce((sum, i) => sum + (answer(i) === 'pass' ? i.max_points : 0), 0);
  const deductions = card.items.reduce((sum, i) => sum + (answer(i) === 'fail' ? i.deduction : 0), 0);
  const fatal = card.items.some((i) => i.fatal && answer(i) === 'fail');
  const reached = reachable === 0 ? 0 : (100 * points) / reachable;
  return { score: fatal ? 0 : Math.round(Math.max(0, reached - deductions) * 10) / 10, fatal };
}

/** Questions whose answer differs from the machine's. */
export function changed(card: QaScorecard, answers: Answers): string[] {
  return card.items.filter((i) => (answers[i.item_id]?.answer ?? i.answer) !== i.answer).map((i) => i.item_id);
}

/** Why the answers cannot be handed in yet: questions without an answer (blind), or changed ones without a reason. */
export function missing(card: QaScorecard, answers: Answers, blind: boolean): string[] {
  if (blind) return card.items.filter((i) => answers[i.item_id] === undefined).map((i) => i.item_id);
  return changed(card, answers).filter((name) => (answers[name]?.reason ?? '').trim() === '');
}

export function handIn(card: QaScorecard, answers: Answers, blind: boolean): AnswerIn[] {
  const names = blind ? card.items.map((i) => i.item_id) : changed(card, answers);
  return names.flatMap((name) => {
    const given = answers[name];
    return given === undefined ? [] : [{ item_id: name, answer: given.answer, reason: given.reason.trim() }];
  });
}

/** Those that need a look first: marked, failed, unscorable; what does not apply last. A blind sheet keeps the rubric's order. */
export function inOrder(card: QaScorecard, blind: boolean, marked: readonly string[] = []): QaItem[] {
  if (blind) return [...card.items];
  const rank = (i: QaItem): number =>
    marked.includes(i.item_id)
      ? -1
      : i.answer === 'fail'
        ? i.fatal
          ? 0
          : 1
        : i.answer === 'not_scorable'
          ? 2
          : i.answer === 'pass'
            ? 3
            : 4;
  return card.items
    .map((item, at) => ({ item, at }))
    .sort((a, b) => rank(a.item) - rank(b.item) || a.at - b.at)
    .map(({ item }) => item);
}
