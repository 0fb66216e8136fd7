// What was said, looked for in the list of calls: words, how they are matched, and what the answer lacks.
import { useEffect, useRef, useState } from 'preact/hooks';
import { MODES, type Mode, type Sought } from '../console/figures.ts';
import { useApp } from '../ui/app.ts';
import { Icon } from '../ui/icons.tsx';

/** ``onSeek``: with the words as they are typed, when they are sent; "" ends the search. ``/`` leads to the field. */
export function SearchBox({ sought, onSeek }: { sought: Sought; onSeek: (q: string, mode: Mode) => void }) {
  const t = useApp().t.value;
  const field = useRef<HTMLInputElement>(null);
  const [text, setText] = useState(sought.q);
  const [mode, setMode] = useState(sought.mode);
  useEffect(() => {
    setText(sought.q);
    setMode(sought.mode);
  }, [sought.q, sought.mode]);
  const choose = (next: Mode): void => {
    setMode(next);
    if (text.trim() !== '') onSeek(text.trim(), next);
  };
  return (
    <form
      class="call-search"
      onSubmit={(e) => {
        e.preventDefault();
        onSeek(text.trim(), mode);
      }}
    >
      <div class="search-field">
        <Icon name="search" size={14} />
        <input
          ref={field}
          type="search"
          value={text}
          maxLength={200}
          placeholder={t('calls.search.placeholder')}
          aria-label={t('calls.search')}
          data-testid="calls-query"
          data-shortcut="/"
          onInput={(e) => {
            setText(e.currentTarget.value);
            // The cross of the field ends the search at once; Enter begins one.
            if (e.currentTarget.value === '' && sought.q !== '') onSeek('', mode);
          }}
        />
      </div>
      <fieldset class="segmented">
        <legend class="sr-only">{t('calls.search.mode')}</legend>
        {MODES.map((one) => (
          <button
            key={one}
            type="button"
            aria-pressed={mode === one}
            title={t(`calls.search.mode.${one}.hint`)}
            data-testid={`mode-${one}`}
            onClick={() => choose(one)}
          >
            {t(`calls.search.mode.${one}`)}
          </button>
        ))}
      </fieldset>
      <button type="submit" class="primary" data-testid="calls-search">
        {t('calls.search.go')}
      </button>
    </form>
  );
}
