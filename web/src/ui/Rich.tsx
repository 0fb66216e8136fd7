// Masked text: PII tokens as chips, corrected terms underlined.
import { useState } from 'preact/hooks';
import { pieces } from '../core/text.ts';
import type { Correction } from '../gen/types.ts';
import { useApp } from './app.ts';

interface Props {
  text: string;
  corrections?: readonly Correction[];
  secrets?: Readonly<Record<string, string>>;
}

export function Rich({ text, corrections = [], secrets = {} }: Props) {
  const t = useApp().t.value;
  return (
    <>
      {pieces(text, corrections).map((piece, i) => {
        if (piece.kind === 'text') return piece.text;
        if (piece.kind === 'corrected') {
          const title = t('tr.corrected', { original: piece.original });
          return (
            <span key={i} class="corrected" title={title}>
              {piece.text}
              <span class="sr-only">（{title}）</span>
            </span>
          );
        }
        return <Secret key={i} token={piece.token} label={piece.label} value={secrets[piece.token]} />;
      })}
    </>
  );
}

/** The value shows only while the chip is hovered, pressed or focused, and only if this feed was given it. */
function Secret({ token, label, value }: { token: string; label: string; value: string | undefined }) {
  const t = useApp().t.value;
  const [open, setOpen] = useState(false);
  if (value === undefined) {
    return (
      <span class="secret" data-token={token} title={t('tr.secret.hidden', { label })}>
        {label}
      </span>
    );
  }
  return (
    <button
      type="button"
      class="secret"
      data-token={token}
      aria-label={open ? `${label} ${value}` : t('tr.secret.show', { label })}
      onPointerEnter={() => setOpen(true)}
      onPointerLeave={() => setOpen(false)}
      onFocus={() => setOpen(true)}
      onBlur={() => setOpen(false)}
    >
      {open ? value : label}
    </button>
  );
}
