import { useApp } from './app.ts';
import { Dialog } from './Dialog.tsx';

export function HelpDialog({ onClose }: { onClose: () => void }) {
  const t = useApp().t.value;
  const rows = [
    ['Alt+1…3', t('help.adopt')],
    ['Alt+E', t('help.edit')],
    ['Alt+X', t('help.reject')],
    ['/', t('help.search')],
    ['j k Enter', t('help.list')],
    ['Space', t('help.play')],
    ['Alt+M', t('help.line')],
    ['Alt+Shift+M', t('help.line.end')],
    ['?', t('help.help')],
  ];
  return (
    <Dialog title={t('help.title')} onClose={onClose} testid="help">
      <dl class="keys">
        {rows.map(([keys, text]) => (
          <div key={keys}>
            <dt>
              <kbd>{keys}</kbd>
            </dt>
            <dd>{text}</dd>
          </div>
        ))}
      </dl>
    </Dialog>
  );
}
