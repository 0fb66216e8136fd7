// The agent's own note. It opens below everything that must keep its place.
import { useEffect, useRef } from 'preact/hooks';
import type { SaveState } from '../core/autosave.ts';
import type { Key } from '../i18n/translate.ts';
import { useApp } from '../ui/app.ts';
import { Icon } from '../ui/icons.tsx';
import type { NoteModel } from './note.ts';

export function Notes(props: { note: NoteModel; open: boolean; setOpen: (open: boolean) => void; shortcut: string }) {
  const { note, open, setOpen, shortcut } = props;
  const t = useApp().t.value;
  const area = useRef<HTMLTextAreaElement>(null);
  const first = useRef(true);
  useEffect(() => {
    // Opened on purpose: the words go there. Not so when the page began with it open.
    if (open && !first.current) area.current?.focus();
    first.current = false;
  }, [open]);
  return (
    <section class="notes" aria-label={t('note.title')} data-testid="notes">
      <button
        type="button"
        class="quiet notes-head"
        aria-expanded={open}
        aria-keyshortcuts={shortcut}
        title={shortcut}
        data-testid="notes-open"
        onClick={() => setOpen(!open)}
      >
        <Icon name="edit" size={14} /> <strong>{t('note.title')}</strong>
        {!open && <span class="dim note-start">{note.text.value.split('\n')[0] || t('note.none')}</span>}
      </button>
      {open && (
        <>
          <textarea
            ref={area}
            rows={3}
            maxLength={2000}
            value={note.text.value}
            aria-label={t('note.title')}
            placeholder={t('note.placeholder')}
            data-testid="note-text"
            onInput={(e) => note.write(e.currentTarget.value)}
          />
          <SaveLine state={note.autosave.state.value} masked={note.masked.value} />
        </>
      )}
    </section>
  );
}

/** Whether what is typed is safe, in words. Its line is always there. */
export function SaveLine({ state, masked = false }: { state: SaveState; masked?: boolean }) {
  const t = useApp().t.value;
  const text = masked && state === 'saved' ? t('save.masked') : t(`save.${state}` as Key);
  return (
    <p
      class={`save-line ${state === 'waiting' || state === 'refused' ? 'warn' : 'dim'}`}
      role="status"
      data-testid="save-state"
      data-state={state}
    >
      {text}
    </p>
  );
}
