import type { Line } from '../core/linestate.ts';
import { useApp } from '../ui/app.ts';
import { Icon } from '../ui/icons.tsx';

/** What went wrong, what can be done about it, and what the server said. */
export function Trouble({ line }: { line: Line }) {
  const t = useApp().t.value;
  const { problem, detail } = line;
  if (problem === null) return null;
  const framed = problem === 'denied' && window.top !== window;
  return (
    <div class="trouble" role="alert" data-testid="try-problem" data-problem={problem}>
      <Icon name="alert" />
      <div>
        <strong>{t(`try.problem.${problem}`)}</strong>
        <p>{t(framed ? 'try.fix.denied.framed' : `try.fix.${problem}`)}</p>
        {detail !== '' && (
          <p class="dim" lang="en">
            {detail}
          </p>
        )}
      </div>
    </div>
  );
}
