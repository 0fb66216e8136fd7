// Where an agent waits for calls and works on them.
import { useMemo } from 'preact/hooks';
import { useApp } from '../ui/app.ts';
import { Icon } from '../ui/icons.tsx';
import { connectionState } from './CallBar.tsx';
import { Desk } from './Desk.tsx';
import { AgentModel } from './model.ts';

export function AgentPage() {
  const app = useApp();
  const model = useMemo(() => new AgentModel(app), [app]);
  return <Desk model={model} state={model.current.value} idle={<Idle model={model} />} testid="agent-page" />;
}

function Idle({ model }: { model: AgentModel }) {
  const t = useApp().t.value;
  const connection = model.feed.connection.value;
  const conn = connectionState(connection.phase, connection.everOnline);
  return (
    <div class="idle" data-testid="idle">
      <span class="idle-mark" aria-hidden="true">
        <Icon name="phone" size={28} />
      </span>
      <h1>{t(conn === 'online' ? 'idle.title' : conn === 'stopped' ? 'conn.stopped' : 'idle.connecting')}</h1>
      <p>{t('idle.body')}</p>
      <p class="dim">{t('idle.tip')}</p>
      {conn !== 'online' && connection.problem !== '' && <p class="dim">{connection.problem}</p>}
    </div>
  );
}
