// The server's sentences about a text, in the reader's language: each is recognised by its form. One that is not known is shown as it came.
import type { App } from '../ui/app.ts';

const FORMS: readonly (readonly [string, RegExp])[] = [
  ['yaml', /^not valid YAML(?: at line \d+)? \((.*)\)$/],
  ['list', /^must hold a list called (\S+)$/],
  ['mapping', /^must be a mapping$/],
  ['mapping_of', /^`(\S+)` must be a mapping\.$/],
  ['missing', /^(\S+) is missing$/],
  ['missing_text', /^`(\S+)` is missing; give it a text\.$/],
  ['missing_version', /^`version` is missing; give it a number/],
  ['twice', /^is there twice; keep one$/],
  ['twice_step', /^the step (.*) is there twice; keep one$/],
  ['twice_key', /^the key (.*) is there twice; keep one$/],
  ['twice_id', /^the id (.*) is there twice in `(\S+)`; rename one\.$/],
  ['two_leaves', /^the id (.*) names two level-2 categories; rename one\.$/],
  ['two_owners', /^the intent (.*) belongs to (.*) and to (.*); take it out of one\.$/],
  ['two_names', /^(?:name )?must be given in zh and en$/],
  ['need_id', /^needs an id$/],
  ['need_id_in', /^entry (\d+) of `(\S+)` needs an `id`\.$/],
  ['number', /^`(\S+)` is (.*); it must be a number not below 0\.$/],
  ['one_of', /^`?(\S+?)`? is (.*); it must be one of (.*?)\.?$/],
  ['flag', /^`(\S+)` is (.*); it must be true or false\.$/],
  ['at_least_one', /^`(\S+)` must be a list with at least one entry\.$/],
  ['per_language', /^`(\S+)` must give a (?:text|list) per language/],
  ['empty_text', /^`(\S+)` is empty; give it a text/],
  ['empty_patterns', /^`(\S+)` is empty; give it at least one pattern\.$/],
  [
    'pattern',
    /^the pattern (.*?)(?: in `\S+`)? (?:does not compile|is not a valid regular expression) \((.*)\)(?:; correct it\.)?$/,
  ],
  ['pattern_here', /^(.*) is not a valid regular expression \((.*)\)$/],
  ['texts', /^`(\S+)` must be a list of texts/],
  ['texts_under', /^must be (?:a list of texts|lists) under zh (?:or|and) en$/],
  ['exactly', /^must hold exactly one of (.*)$/],
  ['says_nothing', /^says nothing; give patterns, words, sounds or like$/],
  ['unknown', /^is not known here; use (.*)$/],
  ['applies', /^(.*); use always: true, intents/],
  ['similarity', /^is (.*); give a similarity/],
  ['sounds', /^must be a list of Chinese words/],
  ['seconds', /^is (.*); give seconds above 0/],
  ['deadline', /^needs exactly one of within_s and before/],
  ['counts_from', /^within_s counts from something: give after$/],
  ['rate', /^needs above or below$/],
  ['rate_number', /^must give a number per language/],
  ['patterns_or_when', /^needs patterns or when$/],
  ['steps', /^must be a list of steps$/],
  ['same_languages', /^`min` and `max` must give a rate/],
  ['groups', /^(?:`groups`|group \d+) must be/],
  ['between', /^(?:.*: )?`(\S+)` is (.*); it must be (?:a whole number )?(?:between|from) (\S+) (?:and|to) (\S+?)\.?$/],
  ['alias_short', /^the alias (.*) must be a text of at least (\d+) characters$/],
  ['alias_term', /^the alias (.*) is itself a term$/],
  ['alias_taken', /^the alias (.*) belongs to (.*) already$/],
  ['weight', /^weight must be a number above 0$/],
  ['large', /^is too large with its aliases written out$/],
  ['shape', /^is not built as this file must be/],
];

/** Key and parameters of a sentence, null for one of another form. */
export function formOf(message: string): { key: string; values: Record<string, string> } | null {
  for (const [key, form] of FORMS) {
    const found = form.exec(message);
    if (found === null) continue;
    const values = Object.fromEntries(found.slice(1).map((value, i) => ['abcd'[i] as string, value ?? '']));
    return { key, values };
  }
  return null;
}

export function worded(app: App, message: string): string {
  const form = formOf(message);
  if (form === null) return message;
  const text = app.word(`packs.wrong.${form.key}`, message);
  return text.replace(/\{(\w)\}/g, (whole, name: string) => form.values[name] ?? whole);
}
