// Words of the knowledge graph: how a value is shown.
import type { Fact } from '../gen/types.ts';
import type { Key, Translate } from '../i18n/translate.ts';

/** Channels and "free" are ids; everything else stands as the article has it. */
export function factValue(t: Translate, fact: Pick<Fact, 'relation' | 'value'>): string {
  if (fact.relation === 'channel') return t(`kg.channel.${fact.value}` as Key);
  return fact.value === 'free' ? t('kg.free') : fact.value;
}
