import { describe, expect, it } from 'vitest';
import { actionOf, chordOf, DEFAULT_KEYS, isPlain, ownOnly, refusal, withDefaults } from '../src/core/keys.ts';

const press = (code: string, key: string, held = '') => ({
  code,
  key,
  altKey: held.includes('a'),
  ctrlKey: held.includes('c'),
  metaKey: held.includes('m'),
  shiftKey: held.includes('s'),
});

describe('a key press', () => {
  it('is written by the place of its key, whatever the layout makes of it', () => {
    expect(chordOf(press('Digit1', '¡', 'a'))).toBe('Alt+1');
    expect(chordOf(press('KeyE', '´', 'a'))).toBe('Alt+E');
    expect(chordOf(press('KeyK', 'K', 'cs'))).toBe('Ctrl+Shift+K');
    expect(chordOf(press('Digit7', '/', 's'))).toBe('/');
    expect(chordOf(press('Slash', '?', 's'))).toBe('?');
    expect(chordOf(press('F9', 'F9'))).toBe('F9');
  });
  it('of a modifier alone is no chord', () => {
    expect(chordOf(press('AltLeft', 'Alt', 'a'))).toBeNull();
    expect(chordOf(press('Process', 'Process'))).toBeNull();
  });
});

describe('a person’s own chords', () => {
  it('stand in the place of the defaults, and only they are kept', () => {
    const keys = withDefaults({ adopt1: 'Ctrl+Shift+1', fly: 'Alt+Z' });
    expect(actionOf('Ctrl+Shift+1', keys)).toBe('adopt1');
    expect(actionOf('Alt+1', keys)).toBeNull();
    expect(actionOf('Alt+2', keys)).toBe('adopt2');
    expect(ownOnly(keys)).toEqual({ adopt1: 'Ctrl+Shift+1' });
  });
  it('cannot be taken twice, be the browser’s or get in the way of typing', () => {
    expect(refusal('adopt1', 'Alt+2', DEFAULT_KEYS)).toBe('taken');
    expect(refusal('adopt1', 'Alt+K', DEFAULT_KEYS)).toBe('taken');
    expect(refusal('adopt1', 'Ctrl+W', DEFAULT_KEYS)).toBe('browser');
    expect(refusal('adopt1', 'Q', DEFAULT_KEYS)).toBe('plain');
    expect(refusal('adopt1', 'Alt+1', DEFAULT_KEYS)).toBeNull();
    expect(refusal('search', 'Alt+K', DEFAULT_KEYS)).toBeNull();
    expect(refusal('help', 'F9', DEFAULT_KEYS)).toBeNull();
  });
  it('are plain or not: a plain one is never taken from somebody who types', () => {
    expect(['/', '?', 'F9', 'Shift+A'].map(isPlain)).toEqual([true, true, true, true]);
    expect(['Alt+1', 'Ctrl+Shift+K', 'Meta+J'].map(isPlain)).toEqual([false, false, false]);
  });
});
