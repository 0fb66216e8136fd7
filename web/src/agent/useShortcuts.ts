// Key presses in the sidebar and chords that a host page forwards, as actions.
import { effect } from '@preact/signals';
import { useEffect, useRef } from 'preact/hooks';
import { type Action, actionOf, chordOf, isPlain } from '../core/keys.ts';
import { useApp } from '../ui/app.ts';
import { typing } from '../ui/keys.ts';

/** ``run`` does it and says whether there was anything to do. ``fromHost``: the focus is in the host page and stays there. */
export function useShortcuts(run: (action: Action, fromHost: boolean) => boolean): void {
  const app = useApp();
  const newest = useRef(run);
  newest.current = run;
  useEffect(() => {
    const onKey = (e: KeyboardEvent): void => {
      const chord = chordOf(e);
      if (chord === null || e.defaultPrevented || e.isComposing) return;
      if (isPlain(chord) && typing(e.target)) return;
      const action = actionOf(chord, app.keys.value);
      if (action !== null && newest.current(action, false)) e.preventDefault();
    };
    document.addEventListener('keydown', onKey);
    const dispose = effect(() => {
      const asked = app.asked.value;
      if (asked === null) return;
      app.asked.value = null;
      newest.current(asked, true);
    });
    return () => {
      document.removeEventListener('keydown', onKey);
      dispose();
    };
  }, [app]);
}
