// The utterances a statement rests on, by the time they were said.
import type { CallState } from '../core/callstate.ts';
import { clock } from '../core/format.ts';
import { useApp } from '../ui/app.ts';

export function Refs({
  ids,
  state,
  onUtterance,
}: {
  ids: readonly string[];
  state: CallState;
  onUtterance: (id: string) => void;
}) {
  const t = useApp().t.value;
  return (
    <>
      {ids.map((id) => {
        const said = state.utterances.find((u) => u.utterance_id === id);
        if (said === undefined) return null;
        return (
          <button
            key={id}
            type="button"
            class="ref num"
            title={said.text}
            aria-label={`${t('summary.jump')} ${clock(said.start_ms)}`}
            data-testid="evidence"
            data-utterance-id={id}
            onClick={() => onUtterance(id)}
          >
            {clock(said.start_ms)}
          </button>
        );
      })}
    </>
  );
}
