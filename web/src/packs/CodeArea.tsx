// A text with line numbers: a plain textarea, so that undo, search, input methods and screen readers work as everywhere. Lines with faults are marked.
import { useEffect, useRef } from 'preact/hooks';
import type { Fault } from '../net/packs.ts';
import { lineSpan } from './draft.ts';

interface Props {
  text: string;
  label: string;
  faults: readonly Fault[];
  readOnly: boolean;
  /** A line to go to; a new object goes there again. */
  target: { line: number } | null;
  onInput?: (text: string) => void;
}

export function CodeArea({ text, label, faults, readOnly, target, onInput }: Props) {
  const area = useRef<HTMLTextAreaElement>(null);
  const gutter = useRef<HTMLDivElement>(null);
  const lines = text.split('\n').length;
  const marked = new Map<number, string>();
  for (const fault of faults) {
    if (!marked.has(fault.line)) marked.set(fault.line, fault.message);
  }
  useEffect(() => {
    const el = area.current;
    if (el === null || target === null) return;
    const [start, end] = lineSpan(el.value, target.line);
    el.focus({ preventScroll: true });
    el.setSelectionRange(start, end);
    const height = Number.parseFloat(getComputedStyle(el).lineHeight);
    el.scrollTop = Math.max(0, (target.line - 4) * height);
    el.scrollLeft = 0;
    if (!el.matches(':focus-within') || el.getBoundingClientRect().top < 0) el.scrollIntoView({ block: 'nearest' });
  }, [target]);
  return (
    <div class="code">
      <div class="code-lines" ref={gutter} aria-hidden="true" data-testid="code-lines">
        {Array.from({ length: lines }, (_, i) => (
          <span key={i} class={marked.has(i + 1) ? 'bad' : undefined} title={marked.get(i + 1)}>
            {i + 1}
          </span>
        ))}
      </div>
      <textarea
        ref={area}
        aria-label={label}
        aria-invalid={faults.length > 0}
        data-testid="pack-text"
        wrap="off"
        spellcheck={false}
        autocapitalize="off"
        autocomplete="off"
        readOnly={readOnly}
        value={text}
        onInput={(e) => onInput?.(e.currentTarget.value)}
        onScroll={(e) => {
          if (gutter.current !== null) gutter.current.scrollTop = e.currentTarget.scrollTop;
        }}
      />
    </div>
  );
}
