// Shortcuts: which chord means which action, remappable per person. Pure. A chord is written as the server keeps it: "Alt+1", "/", "?".

export const ACTIONS = [
  'adopt1',
  'adopt2',
  'adopt3',
  'edit',
  'reject',
  'next',
  'style',
  'search',
  'tools',
  'alert',
  'notes',
  'help',
] as const;
export type Action = (typeof ACTIONS)[number];
export type Keys = Readonly<Record<Action, string>>;

export const DEFAULT_KEYS: Keys = {
  adopt1: 'Alt+1',
  adopt2: 'Alt+2',
  adopt3: 'Alt+3',
  edit: 'Alt+E',
  reject: 'Alt+X',
  next: 'Alt+N',
  style: 'Alt+S',
  search: '/',
  tools: 'Alt+Q',
  alert: 'Alt+A',
  notes: 'Alt+J',
  help: '?',
};
/** Works everywhere beside the remappable one, because the remappable one is a plain character by default. */
export const SEARCH_CHORD = 'Alt+K';

export interface KeyPress {
  altKey: boolean;
  ctrlKey: boolean;
  metaKey: boolean;
  shiftKey: boolean;
  code: string;
  key: string;
}

const NAMED = /^(Enter|Escape|Arrow(Up|Down|Left|Right)|F\d{1,2})$/;
const PRINTED = /^[/?.,;[\]\\`=-]$/;

/** The chord of a key press; null for one that cannot be a shortcut (a modifier alone, a dead key). */
export function chordOf(e: KeyPress): string | null {
  const modifiers = [e.ctrlKey && 'Ctrl', e.altKey && 'Alt', e.metaKey && 'Meta'].filter(Boolean) as string[];
  // By the key's place: with Alt held a Mac writes ¡ for 1, and every layout has its digits there.
  const placed = /^(?:Key([A-Z])|Digit(\d))$/.exec(e.code);
  const main = e.key === ' ' ? 'Space' : NAMED.test(e.key) ? e.key : (placed?.[1] ?? placed?.[2] ?? null);
  if (PRINTED.test(e.key)) return [...modifiers, e.key].join('+');
  if (main === null) return null;
  return [...modifiers, ...(e.shiftKey ? ['Shift'] : []), main].join('+');
}

/** Without Ctrl, Alt or Meta it is text to whoever types: it works only where nobody does, and never from a host page. */
export function isPlain(chord: string): boolean {
  return !/^(Ctrl|Alt|Meta)\+/.test(chord);
}

export function actionOf(chord: string, keys: Keys): Action | null {
  const found = ACTIONS.find((action) => keys[action] === chord);
  if (found !== undefined) return found;
  return chord === SEARCH_CHORD ? 'search' : null;
}

/** The defaults with a person's own on top; what is not a known action is left out. */
export function withDefaults(own: Readonly<Record<string, string>>): Keys {
  const keys = { ...DEFAULT_KEYS };
  for (const action of ACTIONS) {
    const chord = own[action];
    if (chord !== undefined) keys[action] = chord;
  }
  return keys;
}

/** Only what differs from the defaults: so that a better default reaches those who never chose. */
export function ownOnly(keys: Keys): Record<string, string> {
  return Object.fromEntries(ACTIONS.filter((a) => keys[a] !== DEFAULT_KEYS[a]).map((a) => [a, keys[a]]));
}

export type Refusal = 'taken' | 'browser' | 'plain';
/** Chords that browsers do not give to pages, or that would take a page away from under a call. */
const BROWSERS_OWN = new Set(
  'Ctrl+W Ctrl+T Ctrl+N Ctrl+Q Ctrl+R Ctrl+L Ctrl+F Ctrl+P Ctrl+S Ctrl+C Ctrl+V Ctrl+X Ctrl+A Ctrl+Z Alt+F4 Alt+D Alt+ArrowLeft Alt+ArrowRight F1 F3 F5 F6 F11 F12 Meta+W Meta+T Meta+Q Meta+R Meta+C Meta+V'.split(
    ' ',
  ),
);

/** Why an action cannot have this chord; null: it can. */
export function refusal(action: Action, chord: string, keys: Keys): Refusal | null {
  if (BROWSERS_OWN.has(chord)) return 'browser';
  if (isPlain(chord) && !PRINTED.test(chord) && !/^F\d/.test(chord)) return 'plain';
  const owner = actionOf(chord, keys);
  return owner !== null && owner !== action ? 'taken' : null;
}
